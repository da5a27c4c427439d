// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IEpochs} from "../interfaces/IEpochs.sol";
import {IEvidence} from "../interfaces/IEvidence.sol";
import {Registry} from "../Registry.sol";

/// @title A committee's root, its weights, and what each of its places counts
/// @notice As `verify.committee` has them; that module says why a reserve counts less.
library Seats {
    error CommitteeNotSorted(address node);
    error CommitteeOutOfBounds(uint256 members, uint256 least);
    error EpochNotOpened(uint64 epoch);
    error NotVerifierThen(address node);
    error TooManyReserves(uint256 reserves);

    uint256 private constant _MOST = 256; // wire.bounds.MAX_COMMITTEE
    uint8 private constant _VERIFIER = 2;

    /// @notice The committee's root, what each place counts and the members' weight, as `verify.committee` has them.
    function seat(IEvidence.Committee calldata committee, Registry registry, uint256 least)
        internal
        view
        returns (bytes32 root, uint256[] memory counts, uint256 total)
    {
        uint256 size = committee.size;
        uint256 places = committee.places.length;
        if (size < least || size > places || size > _MOST) revert CommitteeOutOfBounds(size, least);
        if (places - size > (size + 3) / 4) revert TooManyReserves(places - size);
        uint48 opened = IEpochs(registry.epochs()).openedBlock(committee.epoch);
        if (opened == 0) revert EpochNotOpened(committee.epoch);
        bytes memory listed = new bytes(64 + 65 * places);
        counts = new uint256[](places);
        _put(listed, 0, committee.epoch);
        _put(listed, 32, size);
        (uint8 lastPrefix, bytes32 lastX, uint256 bench) = (0, 0, 0);
        for (uint256 i = 0; i < places; ++i) {
            address node = committee.places[i];
            (uint8 prefix, bytes32 x) = registry.compressedKeyOf(node);
            uint256 weight = _weight(registry, node, opened);
            listed[64 + 65 * i] = bytes1(prefix);
            _put(listed, 65 + 65 * i, uint256(x));
            _put(listed, 97 + 65 * i, weight);
            if (i < size) {
                if (prefix < lastPrefix || (prefix == lastPrefix && x <= lastX)) revert CommitteeNotSorted(node);
                (lastPrefix, lastX) = (prefix, x);
                total += weight;
            } else {
                for (uint256 j = 0; j < i; ++j) if (committee.places[j] == node) revert CommitteeNotSorted(node);
                weight = Math.min(weight, total / size);
                bench += weight;
            }
            counts[i] = weight;
        }
        if (bench > total / 3) revert TooManyReserves(places - size);
        root = keccak256(listed);
    }

    /// @dev The weight of a verifier in an epoch's draw; it has to have been active.
    function _weight(Registry registry, address node, uint48 opened) private view returns (uint256) {
        uint256 stake = registry.stakeAt(node, _VERIFIER, opened);
        if (stake == 0) revert NotVerifierThen(node);
        return Math.max(1, stake / 1 ether);
    }

    /// @dev Writes a word at this offset of `target`, which has room for it.
    function _put(bytes memory target, uint256 offset, uint256 word) private pure {
        // Joined piece by piece, a committee of 256 would take quadratic memory.
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            mstore(add(add(target, 32), offset), word)
        }
    }
}
