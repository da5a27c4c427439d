// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IEpochs} from "../interfaces/IEpochs.sol";
import {IEvidence} from "../interfaces/IEvidence.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {Book} from "./Book.sol";
import {Lines} from "./Lines.sol";

/// @title How anybody brings a wrong root down
/// @notice Every challenge shows lines of the root that cannot be right. Then the root is cancelled for good, and its
/// signers can be punished, for the challenger's benefit. A challenge that shows nothing wrong reverts. A line that
/// nobody has seen can be demanded; a root whose line is not shown in time falls too.
/// @dev Whatever is called here is called last, when all that changes has changed.
abstract contract Challenges is Book {
    using SafeERC20 for IERC20;

    struct Demand {
        address challenger;
        uint40 until; // when it has to be shown
        bool closed; // it was shown, or it brought the root down, or its bond went back
    }

    error NothingWrong();
    error NotOfReceipt(uint32 index);
    error NotItsSigners();
    error WindowOver(uint64 since);
    error NoSuchLine(uint32 index, uint32 count);
    error DemandedBefore(uint32 index);
    error NoDemand(uint32 index);
    error AnswerOver(uint64 since);
    error AnswerNotOver(uint64 until);
    error NotSignedByProvider();

    mapping(bytes32 key => mapping(uint32 index => Demand)) private _demands;

    /// @notice A line that is wrong by itself: an index that the root does not have, a role that there is not, a first one
    /// that does not begin at 0, a last one that does not end at the total.
    function challengeLine(uint64 epoch, Line calldata line, bytes32[] calldata proof) external {
        Root memory it = _posted(epoch);
        _prove(it.root, line, proof);
        if (!Lines.isMisshapen(line, it.count, it.total)) revert NothingWrong();
        _cancel(epoch, "line", msg.sender);
    }

    /// @notice Two lines with one index, or two neighbours in a wrong order or with a wrong sum.
    function challengeOrder(
        uint64 epoch,
        Line calldata a,
        bytes32[] calldata proofA,
        Line calldata b,
        bytes32[] calldata proofB
    ) external {
        bytes32 root = _posted(epoch).root;
        _prove(root, a, proofA);
        _prove(root, b, proofB);
        if (!Lines.isDisordered(a, b)) revert NothingWrong();
        _cancel(epoch, "order", msg.sender);
    }

    /// @notice Lines of one receipt, in ascending order of index, that its price does not carry: another account than its
    /// provider's, a share above its bound, together more than the price, or less for the provider than any royalty leaves.
    function challengeReceipt(
        uint64 epoch,
        Line[] calldata lines,
        bytes32[][] calldata proofs,
        IEvidence.Receipt calldata receipt
    ) external {
        bytes32 root = _posted(epoch).root;
        bytes32 digest = _receiptDigest(receipt);
        for (uint256 i = 0; i < lines.length; ++i) {
            _prove(root, lines[i], proofs[i]);
            bool right = lines[i].receipt == digest && lines[i].role >= Lines.PROVIDER && lines[i].role <= Lines.SETTLER;
            if (!right || (i != 0 && lines[i].index <= lines[i - 1].index)) revert NotOfReceipt(lines[i].index);
        }
        if (!Lines.isOverpaid(lines, receipt, split.sharesOf(epoch))) revert NothingWrong();
        _cancel(epoch, "receipt", msg.sender);
    }

    /// @notice A line of a receipt that was refused before the next epoch was opened. What is refused later, its settlers may
    /// not have known.
    function challengeRefused(uint64 epoch, Line calldata line, bytes32[] calldata proof) external {
        _prove(_posted(epoch).root, line, proof);
        uint64 since = evidence.refusedAt(line.receipt);
        if (since == 0 || since >= _epochs[_epochs[epoch].next].openedAt) revert NothingWrong();
        _cancel(epoch, "refused", msg.sender);
    }

    /// @notice A line of a receipt whose provider another epoch pays for it, by a root that was there first.
    /// @param other that epoch
    /// @param paid the PROVIDER line of the receipt there
    function challengePaid(
        uint64 epoch,
        Line calldata line,
        bytes32[] calldata proof,
        uint64 other,
        Line calldata paid,
        bytes32[] calldata paidProof
    ) external {
        Root memory it = _posted(epoch);
        Root memory first = _roots[other];
        _prove(it.root, line, proof);
        _prove(first.root, paid, paidProof);
        bool before = first.postedAt == it.postedAt ? other < epoch : first.postedAt < it.postedAt;
        bool same = line.receipt == paid.receipt && paid.role == Lines.PROVIDER && line.role != Lines.UNRECEIPTED;
        if (first.status == Status.OPEN || !before || !same) revert NothingWrong();
        _cancel(epoch, "paid", msg.sender);
    }

    /// @notice A provider's lines that need more revenue than it had in the epoch.
    /// @param lines the first and the last of a stretch of its PROVIDER lines, or its UNRECEIPTED line, or all three
    function challengeRevenue(uint64 epoch, Line[] calldata lines, bytes32[][] calldata proofs) external {
        bytes32 root = _posted(epoch).root;
        for (uint256 i = 0; i < lines.length; ++i) {
            _prove(root, lines[i], proofs[i]);
            if (lines[i].account != lines[0].account) revert NothingWrong();
        }
        (uint256 earned, uint256 several, uint256 unreceipted) = (0, 0, 0);
        if (lines.length >= 2) {
            (Line calldata a, Line calldata b) = (lines[0], lines[1]);
            if (a.role != Lines.PROVIDER || b.role != Lines.PROVIDER || a.index > b.index) revert NothingWrong();
            earned = uint256(b.sumBefore) + b.amount - a.sumBefore;
            several = uint256(b.index) - a.index + 1;
        }
        if (lines.length == 1 || lines.length == 3) {
            Line calldata rest = lines[lines.length - 1];
            if (rest.role != Lines.UNRECEIPTED) revert NothingWrong();
            unreceipted = rest.amount;
        }
        if (lines.length > 3) revert NothingWrong();
        uint256 revenue = revenueOf(epoch, lines[0].account);
        if (!Lines.isBeyond(revenue, earned, several, unreceipted, split.sharesOf(epoch))) revert NothingWrong();
        _cancel(epoch, "revenue", msg.sender);
    }

    /// @notice A line of a receipt for which the root has no PROVIDER line, shown by the neighbours between which it would
    /// stand: so nobody's revenue pays for it.
    /// @param lines the line, then the two neighbours; or the line and the first or the last of all, where it would stand
    /// before or behind that
    function challengeOrphan(
        uint64 epoch,
        Line[] calldata lines,
        bytes32[][] calldata proofs,
        IEvidence.Receipt calldata receipt
    ) external {
        Root memory it = _posted(epoch);
        for (uint256 i = 0; i < lines.length; ++i) _prove(it.root, lines[i], proofs[i]);
        bytes32 digest = _receiptDigest(receipt);
        if (lines[0].receipt != digest) revert NotOfReceipt(lines[0].index);
        if (lines.length > 3) revert NothingWrong();
        bool before = Lines.isBefore(lines[1], receipt.provider, Lines.PROVIDER, digest);
        bool behind = Lines.isBehind(lines[lines.length - 1], receipt.provider, Lines.PROVIDER, digest);
        bool shown = lines.length == 3
            ? before && behind && uint256(lines[1].index) + 1 == lines[2].index
            : (before && uint256(lines[1].index) + 1 == it.count) || (behind && lines[1].index == 0);
        if (!shown) revert NothingWrong();
        _cancel(epoch, "orphan", msg.sender);
    }

    /// @notice Asks for a line in public, against a bond. Once for each line of a root.
    function demand(uint64 epoch, uint32 index) external {
        Root storage it = _posted(epoch);
        uint64 end = it.postedAt + windowSeconds - answerSeconds; // so that its answer is within the window
        if (block.timestamp > end) revert WindowOver(end);
        if (index >= it.count) revert NoSuchLine(index, it.count);
        Demand storage asked = _demands[_keyOf(epoch, it)][index];
        if (asked.challenger != address(0)) revert DemandedBefore(index);
        (asked.challenger, asked.until) = (msg.sender, uint40(block.timestamp + answerSeconds));
        ++it.demands;
        emit Demanded(epoch, index, msg.sender);
        token.safeTransferFrom(msg.sender, address(this), demandBond);
    }

    /// @notice Anyone: shows a demanded line with the receipt that its provider signed, and has the demand's bond.
    /// @param receipt the line's; of an UNRECEIPTED line nothing is read of it, nor of the signature
    function show(
        uint64 epoch,
        Line calldata line,
        bytes32[] calldata proof,
        IEvidence.Receipt calldata receipt,
        bytes calldata signature
    ) external {
        Root storage it = _posted(epoch);
        Demand storage asked = _demands[_keyOf(epoch, it)][line.index];
        if (asked.challenger == address(0) || asked.closed) revert NoDemand(line.index);
        if (block.timestamp > asked.until) revert AnswerOver(asked.until);
        _prove(it.root, line, proof);
        if (line.role != Lines.UNRECEIPTED) {
            bytes32 digest = _receiptDigest(receipt);
            if (digest != line.receipt) revert NotOfReceipt(line.index);
            if (Signatures.signer(digest, signature) != receipt.provider) revert NotSignedByProvider();
        }
        asked.closed = true;
        --it.demands;
        emit Shown(epoch, line.index);
        _send(msg.sender, demandBond);
    }

    /// @notice Anyone: a demand that nobody answered in time brings the root down; who made it is its challenger.
    function fail(uint64 epoch, uint32 index) external {
        Root storage it = _posted(epoch);
        Demand storage asked = _demands[_keyOf(epoch, it)][index];
        if (asked.challenger == address(0) || asked.closed) revert NoDemand(index);
        if (block.timestamp <= asked.until) revert AnswerNotOver(asked.until);
        asked.closed = true;
        address challenger = asked.challenger;
        _cancel(epoch, "demand", challenger);
        _send(challenger, demandBond);
    }

    /// @notice Anyone: the bond of a demand on a root that fell for another reason goes back to who made it.
    function release(uint64 epoch, bytes32 root, uint32 count, uint128 total, uint32 index) external {
        bytes32 key = keyOf(epoch, root, count, total);
        Demand storage asked = _demands[key][index];
        bool fell = _fallen[key].challenger != address(0);
        if (!fell || asked.challenger == address(0) || asked.closed) revert NoDemand(index);
        asked.closed = true;
        _send(asked.challenger, demandBond);
    }

    /// @inheritdoc IEpochs
    function punish(uint64 epoch, bytes32 root, uint32 count, uint128 total, address[] calldata signers)
        external
    {
        bytes32 key = keyOf(epoch, root, count, total);
        Fallen storage it = _fallen[key];
        if (it.signers == bytes32(0) || keccak256(abi.encode(signers)) != it.signers) revert NotItsSigners();
        it.signers = bytes32(0);
        address challenger = it.challenger;
        emit Punished(epoch, root, challenger, signers);
        for (uint256 i = 0; i < signers.length; ++i) {
            // slither-disable-next-line unused-return -- the registry's event says how much it was
            registry.slash(signers[i], slashBps, key, challenger);
        }
    }

    /// @notice A demand on the root that stands: who made it, until when it is to be shown, whether it is settled.
    function demandOf(uint64 epoch, uint32 index) external view returns (address challenger, uint64 until, bool closed) {
        Demand memory asked = _demands[_keyOf(epoch, _roots[epoch])][index];
        return (asked.challenger, asked.until, asked.closed);
    }

    /// @inheritdoc IEpochs
    function revenueOf(uint64 epoch, address node) public view virtual returns (uint128);

    function _keyOf(uint64 epoch, Root storage it) private view returns (bytes32) {
        return keyOf(epoch, it.root, it.count, it.total);
    }
}
