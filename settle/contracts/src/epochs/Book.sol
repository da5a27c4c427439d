// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {IChannels} from "../interfaces/IChannels.sol";
import {IEpochs} from "../interfaces/IEpochs.sol";
import {IEvidence} from "../interfaces/IEvidence.sol";
import {IRegistry} from "../interfaces/IRegistry.sol";
import {ISplit} from "../interfaces/ISplit.sol";
import {Lines} from "./Lines.sol";

/// @title What is known of every epoch: when it began, what came in, which root stands
/// @notice Its first part: the terms, the calendar and the books that the other parts keep.
abstract contract Book is IEpochs {
    using SafeERC20 for IERC20;

    /// @notice What is fixed for ever when the contract is made.
    struct Terms {
        uint64 epochSeconds; // an epoch's length
        uint64 windowSeconds; // in which a root can be challenged
        uint64 answerSeconds; // in which a demanded line has to be shown: a part of the window
        uint16 slashBps; // of all that stands behind a signer of a wrong root
        uint128 demandBond; // what a demand costs who makes it, if it is answered
    }

    struct Epoch {
        bytes32 beacon;
        uint48 openedBlock;
        uint40 openedAt; // 0: nobody opened it
        uint64 next; // the epoch that was opened after it, 0 for none
        uint64 rolled; // whose settlers sign in place of `next`'s, 0 for those
        uint128 pot;
        uint128 paid;
    }

    struct Root {
        bytes32 root;
        bytes32 signers; // keccak256 of their addresses
        uint32 count;
        uint128 total;
        uint40 postedAt;
        uint32 demands; // that are open
        Status status;
    }

    struct Fallen {
        bytes32 signers; // zero once they are punished
        address challenger;
    }

    error BadTerms();
    error NotOpened(uint64 epoch);
    error NotPosted(uint64 epoch);
    error NotInTree(uint32 index);

    uint16 internal constant BPS = 10_000;

    // solhint-disable immutable-vars-naming
    /// @notice What everything is paid in.
    IERC20 public immutable token;
    /// @notice Where payers' deposits are.
    IChannels public immutable channels;
    /// @notice Who takes part; its domain is what roots are signed under.
    IRegistry public immutable registry;
    /// @notice Which receipts were refused.
    IEvidence public immutable evidence;
    /// @notice How prices are divided.
    ISplit public immutable split;
    /// @notice When epoch 0 began, seconds UTC.
    uint64 public immutable genesis;
    /// @notice How long an epoch is.
    uint64 public immutable epochSeconds;
    /// @notice How long a root can be challenged.
    uint64 public immutable windowSeconds;
    /// @notice How long a demanded line has to be shown.
    uint64 public immutable answerSeconds;
    /// @notice What a signer of a wrong root loses.
    uint16 public immutable slashBps;
    /// @notice What a demand puts down.
    uint128 public immutable demandBond;
    // solhint-enable immutable-vars-naming

    uint64 internal _latest; // the epoch that was opened last
    mapping(uint64 epoch => Epoch) internal _epochs;
    mapping(uint64 epoch => Root) internal _roots;
    mapping(bytes32 key => Fallen) internal _fallen;

    constructor(
        IERC20 token_,
        IChannels channels_,
        IRegistry registry_,
        IEvidence evidence_,
        ISplit split_,
        Terms memory terms
    ) {
        if (terms.epochSeconds == 0 || terms.answerSeconds == 0) revert BadTerms();
        if (terms.windowSeconds < terms.answerSeconds || terms.demandBond == 0) revert BadTerms();
        if (terms.slashBps == 0 || terms.slashBps > BPS) revert BadTerms();
        (token, channels, registry, evidence, split) = (token_, channels_, registry_, evidence_, split_);
        genesis = uint64(block.timestamp);
        epochSeconds = terms.epochSeconds;
        windowSeconds = terms.windowSeconds;
        answerSeconds = terms.answerSeconds;
        slashBps = terms.slashBps;
        demandBond = terms.demandBond;
        _record(0);
    }

    /// @inheritdoc IEpochs
    function open() public returns (uint64 epoch) {
        epoch = current();
        if (_epochs[epoch].openedAt != 0) return epoch;
        _epochs[_latest].next = epoch;
        _record(epoch);
    }

    /// @inheritdoc IEpochs
    function openedBlock(uint64 epoch) external view returns (uint48) {
        return _epochs[epoch].openedBlock;
    }

    /// @inheritdoc IEpochs
    function openedAt(uint64 epoch) external view returns (uint64) {
        return _epochs[epoch].openedAt;
    }

    /// @inheritdoc IEpochs
    function beaconOf(uint64 epoch) external view returns (bytes32) {
        return _epochs[epoch].beacon;
    }

    /// @inheritdoc IEpochs
    function potOf(uint64 epoch) external view returns (uint128) {
        return _epochs[epoch].pot;
    }

    /// @inheritdoc IEpochs
    function paidOf(uint64 epoch) external view returns (uint128) {
        return _epochs[epoch].paid;
    }

    /// @inheritdoc IEpochs
    function rootOf(uint64 epoch)
        external
        view
        returns (bytes32 root, uint32 count, uint128 total, uint64 postedAt, Status status)
    {
        Root memory it = _roots[epoch];
        return (it.root, it.count, it.total, it.postedAt, it.status);
    }

    /// @notice A cancelled root: who challenged it (zero where none was), and whether its signers are still to be punished.
    function fallenOf(uint64 epoch, bytes32 root, uint32 count, uint128 total)
        external
        view
        returns (address challenger, bool unpunished)
    {
        Fallen memory it = _fallen[keyOf(epoch, root, count, total)];
        return (it.challenger, it.signers != bytes32(0));
    }

    /// @inheritdoc IEpochs
    function current() public view returns (uint64) {
        return uint64((block.timestamp - genesis) / epochSeconds);
    }

    /// @inheritdoc IEpochs
    function closingOf(uint64 epoch) external view returns (uint64 next, uint48 blockNumber) {
        return _begun(_epochs[epoch].next);
    }

    /// @inheritdoc IEpochs
    function settlersOf(uint64 epoch) public view returns (uint64 named, uint48 blockNumber) {
        Epoch memory it = _epochs[epoch];
        return _begun(it.rolled == 0 ? it.next : it.rolled);
    }

    /// @notice The name of a root in its epoch: one that was cancelled never comes back, whoever signs it.
    function keyOf(uint64 epoch, bytes32 root, uint32 count, uint128 total) public pure returns (bytes32) {
        return keccak256(abi.encode(epoch, root, count, total));
    }

    /// @dev The root falls, its epoch is open for another.
    function _cancel(uint64 epoch, string memory reason, address challenger) internal {
        Root memory it = _roots[epoch];
        _fallen[keyOf(epoch, it.root, it.count, it.total)] = Fallen(it.signers, challenger);
        delete _roots[epoch];
        emit Challenged(epoch, it.root, reason, challenger);
    }

    /// @dev The root that is in its window, or past it and not final yet.
    function _posted(uint64 epoch) internal view returns (Root storage it) {
        it = _roots[epoch];
        if (it.status != Status.POSTED) revert NotPosted(epoch);
    }

    function _send(address to, uint256 amount) internal {
        if (amount != 0) token.safeTransfer(to, amount);
    }

    function _receiptDigest(IEvidence.Receipt calldata receipt) internal view returns (bytes32) {
        return evidence.receiptDigest(receipt);
    }

    function _prove(bytes32 root, Line calldata line, bytes32[] calldata proof) internal pure {
        if (!MerkleProof.verifyCalldata(proof, root, Lines.leaf(line))) revert NotInTree(line.index);
    }

    function _begun(uint64 epoch) private view returns (uint64, uint48) {
        return (epoch, epoch == 0 ? 0 : _epochs[epoch].openedBlock);
    }

    function _record(uint64 epoch) private {
        bytes32 beacon = keccak256(abi.encode(blockhash(block.number - 1), block.prevrandao, epoch));
        Epoch storage it = _epochs[epoch];
        // The block before: its end is settled, so nobody can lend a stake for the moment of opening.
        (it.beacon, it.openedBlock, it.openedAt) = (beacon, uint48(block.number - 1), uint40(block.timestamp));
        _latest = epoch;
        emit Opened(epoch, beacon, uint48(block.number - 1), uint64(block.timestamp));
    }
}
