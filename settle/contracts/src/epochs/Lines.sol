// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEpochs} from "../interfaces/IEpochs.sol";
import {IEvidence} from "../interfaces/IEvidence.sol";
import {ISplit} from "../interfaces/ISplit.sol";

/// @title What is right and wrong about a settlement's lines, whoever signed them
/// @notice A manifest's royalty and a committee's members are not on the chain, so of those only the bounds are.
library Lines {
    uint8 internal constant PROVIDER = 1;
    uint8 internal constant PUBLISHER = 2;
    uint8 internal constant VERIFIER = 3;
    uint8 internal constant HUB = 4;
    uint8 internal constant UNRECEIPTED = 5;
    uint8 internal constant SETTLER = 6;
    uint256 internal constant BPS = 10_000;

    /// @notice The leaf of a line, as OpenZeppelin's trees have it.
    function leaf(IEpochs.Line calldata line) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(line))));
    }

    /// @notice Whether a line stands before the place of (account, role, receipt).
    function isBefore(IEpochs.Line calldata line, address account, uint8 role, bytes32 receipt)
        internal
        pure
        returns (bool)
    {
        if (line.account != account) return line.account < account;
        if (line.role != role) return line.role < role;
        return line.receipt < receipt;
    }

    /// @notice Whether a line stands behind the place of (account, role, receipt).
    function isBehind(IEpochs.Line calldata line, address account, uint8 role, bytes32 receipt)
        internal
        pure
        returns (bool)
    {
        return !isBefore(line, account, role, receipt)
            && (line.account != account || line.role != role || line.receipt != receipt);
    }

    /// @notice Whether one line is wrong by itself, in a root of `count` lines and this total.
    function isMisshapen(IEpochs.Line calldata line, uint32 count, uint128 total) internal pure returns (bool) {
        if (line.index >= count || line.role < PROVIDER || line.role > SETTLER) return true;
        if ((line.role == UNRECEIPTED) != (line.receipt == bytes32(0))) return true;
        if (line.index == 0 && line.sumBefore != 0) return true;
        return line.index == count - 1 && uint256(line.sumBefore) + line.amount != total;
    }

    /// @notice Whether two lines with one index, or with an index and the next, contradict each other.
    function isDisordered(IEpochs.Line calldata a, IEpochs.Line calldata b) internal pure returns (bool) {
        if (a.index == b.index) return leaf(a) != leaf(b);
        if (uint256(a.index) + 1 != b.index) return false;
        if (uint256(a.sumBefore) + a.amount != b.sumBefore) return true;
        return !isBefore(a, b.account, b.role, b.receipt);
    }

    /// @notice Whether lines of one receipt (of any number of its lines, ascending) are more than its price allows.
    function isOverpaid(IEpochs.Line[] calldata lines, IEvidence.Receipt calldata receipt, ISplit.Shares memory shares)
        internal
        pure
        returns (bool)
    {
        uint256 verifiers = part(receipt.price, shares.verifiers);
        uint256 hubs = part(receipt.price, shares.hubs);
        uint256 royalty = part(receipt.price, shares.publisherMax);
        uint256 both = receipt.price - verifiers - hubs - part(receipt.price, shares.treasury); // provider and publisher
        uint256[7] memory sums;
        bool providerSeen;
        for (uint256 i = 0; i < lines.length; ++i) {
            IEpochs.Line calldata line = lines[i];
            sums[line.role] += line.amount;
            if (line.role != PROVIDER) continue;
            if (line.account != receipt.provider || line.amount + royalty < both) return true;
            providerSeen = true;
        }
        if (sums[PROVIDER] > both || sums[PUBLISHER] > royalty || sums[HUB] > hubs) return true;
        if (sums[VERIFIER] + sums[SETTLER] > verifiers) return true;
        return providerSeen && sums[PROVIDER] + sums[PUBLISHER] > both;
    }

    /// @notice Whether a provider's lines need more revenue than it had.
    /// @param earned what its PROVIDER lines amount to, or some of them in a row
    /// @param lines how many those are
    /// @param unreceipted its UNRECEIPTED line's amount
    /// @dev Receipts of prices that sum to S leave the provider at most S·keep/BPS + 3 a line (three shares are rounded
    /// down); what is left, R − S, gives it at most u/BPS of that.
    function isBeyond(uint256 revenue, uint256 earned, uint256 lines, uint256 unreceipted, ISplit.Shares memory shares)
        internal
        pure
        returns (bool)
    {
        uint256 keep = BPS - shares.verifiers - shares.hubs - shares.treasury;
        uint256 least = earned > 3 * lines ? (earned - 3 * lines) * BPS : 0; // of S·keep
        if (least > revenue * keep) return true;
        return unreceipted * BPS * keep > (revenue * keep - least) * shares.unreceipted;
    }

    /// @notice A share of a price, rounded down.
    function part(uint256 price, uint256 bps) internal pure returns (uint256) {
        return price * bps / BPS;
    }
}
