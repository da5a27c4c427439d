// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Book} from "./epochs/Book.sol";
import {Challenges} from "./epochs/Challenges.sol";
import {Lines} from "./epochs/Lines.sol";
import {IChannels} from "./interfaces/IChannels.sol";
import {IEpochs} from "./interfaces/IEpochs.sol";
import {IEvidence} from "./interfaces/IEvidence.sol";
import {IRegistry} from "./interfaces/IRegistry.sol";
import {ISplit} from "./interfaces/ISplit.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {Till} from "./Till.sol";

/// @title Epochs: what providers' tills bring in, and who is paid from it, by a root that settlers sign
/// @notice Revenue belongs to the epoch in which it was collected. After its end more than 2/3 of the settlers' stake sign
/// the root of its lines (wire.settlement); in a window anyone may challenge it; then lines are paid by proof. It has no
/// owner and no parameter that changes: shares and the treasury are the split's.
/// @dev An epoch never pays more than its pot, whatever its root says. The token is trusted: no fee on transfers.
contract Epochs is Challenges, ReentrancyGuardTransient {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    struct Stretch {
        uint32 first;
        uint32 end;
        uint128 paid;
    }

    error AboveTotal(uint128 amount);
    error AlreadyPosted(uint64 epoch);
    error CancelledBefore(bytes32 root);
    error BadSigner(address signer);
    error NoQuorum(uint256 stake, uint256 total);
    error NotEnded(uint64 epoch);
    error PotExceeded(uint128 total, uint128 pot);
    error EmptyRoot();
    error WindowOpen(uint64 until);
    error DemandsOpen(uint32 demands);
    error NotFinal(uint64 epoch);
    error NotOneStretch();
    error NotYours(address account);
    error TooEarly(uint64 epoch);
    error NothingLeft(uint64 epoch);

    /// @notice How many epochs a root may take before the settlers of a later epoch may sign it.
    uint64 public constant ROLLOVER_EPOCHS = 4;
    /// @notice How long after a root was posted its lines can be claimed.
    uint64 public constant CLAIM_SECONDS = 2 * 365 days;

    bytes32 private constant _EPOCH_ROOT =
        keccak256("EpochRoot(uint64 epoch,bytes32 root,uint32 count,uint128 total,bytes32 receipts)");
    uint8 private constant _SETTLER = 4; // the registry's role

    /// @notice What every till is a clone of.
    address public immutable till; // solhint-disable-line immutable-vars-naming

    mapping(uint64 epoch => mapping(address node => uint128)) private _revenue;
    mapping(uint64 epoch => mapping(address account => mapping(uint8 role => Stretch))) private _stretches;

    constructor(
        IERC20 token_,
        IChannels channels_,
        IRegistry registry_,
        IEvidence evidence_,
        ISplit split_,
        Terms memory terms
    ) Book(token_, channels_, registry_, evidence_, split_, terms) {
        till = address(new Till());
        token_.forceApprove(address(registry_), type(uint256).max); // for `reward`, which takes what it is told to
    }

    /// @inheritdoc IEpochs
    function collect(address node) external nonReentrant returns (uint128 amount) {
        uint64 epoch = open();
        address from = tillOf(node);
        if (from.code.length == 0) Clones.cloneDeterministic(till, _salt(node));
        channels.settle(from, address(token));
        amount = Till(from).empty(token).toUint128();
        if (amount == 0) return 0;
        _revenue[epoch][node] += amount;
        // slither-disable-next-line reentrancy-no-eth -- guarded, and what the till held is known only when it is empty
        _epochs[epoch].pot += amount;
        emit Collected(epoch, node, amount);
    }

    /// @inheritdoc IEpochs
    function post(
        uint64 epoch,
        bytes32 root,
        uint32 count,
        uint128 total,
        bytes32 receipts,
        address[] calldata signers,
        bytes[] calldata signatures
    ) external {
        if (_roots[epoch].status != Status.OPEN) revert AlreadyPosted(epoch);
        if (total > _epochs[epoch].pot) revert PotExceeded(total, _epochs[epoch].pot);
        if (count == 0 && (total != 0 || root != bytes32(0))) revert EmptyRoot();
        if (_fallen[keyOf(epoch, root, count, total)].challenger != address(0)) revert CancelledBefore(root);
        _checkSigners(epoch, _digestOf(epoch, root, count, total, receipts), signers, signatures);
        _roots[epoch] =
            Root(root, keccak256(abi.encode(signers)), count, total, uint40(block.timestamp), 0, Status.POSTED);
        emit Posted(epoch, root, count, total, receipts, signers);
    }

    /// @inheritdoc IEpochs
    function finalise(uint64 epoch) external nonReentrant {
        Root storage it = _posted(epoch);
        uint64 until = it.postedAt + windowSeconds;
        if (block.timestamp <= until) revert WindowOpen(until);
        if (it.demands != 0) revert DemandsOpen(it.demands);
        it.status = Status.FINAL;
        uint128 rest = _epochs[epoch].pot - it.total;
        emit Finalised(epoch, it.root, it.total, rest);
        _send(split.treasury(), rest);
    }

    /// @inheritdoc IEpochs
    function rollover(uint64 epoch) external {
        if (_roots[epoch].status != Status.OPEN) revert AlreadyPosted(epoch);
        (uint64 named,) = settlersOf(epoch);
        if (named == 0) revert NotEnded(epoch);
        uint64 into = open();
        if (into < named + ROLLOVER_EPOCHS) revert TooEarly(epoch);
        _epochs[epoch].rolled = into;
        emit RolledOver(epoch, into, _epochs[epoch].pot);
    }

    /// @inheritdoc IEpochs
    function claim(
        uint64 epoch,
        Line calldata first,
        bytes32[] calldata firstProof,
        Line calldata last,
        bytes32[] calldata lastProof
    ) external nonReentrant returns (uint128) {
        return _claim(epoch, first, firstProof, last, lastProof);
    }

    /// @inheritdoc IEpochs
    function claimMany(uint64 epoch, Line[] calldata lines, bytes32[][] calldata proofs) external nonReentrant {
        for (uint256 i = 1; i < lines.length; i += 2) {
            _claim(epoch, lines[i - 1], proofs[i - 1], lines[i], proofs[i]);
        }
    }

    /// @inheritdoc IEpochs
    function sweep(uint64 epoch) external nonReentrant {
        Root memory it = _roots[epoch];
        if (it.status != Status.FINAL) revert NotFinal(epoch);
        if (block.timestamp <= it.postedAt + CLAIM_SECONDS) revert TooEarly(epoch);
        uint128 rest = it.total - _epochs[epoch].paid;
        if (rest == 0) revert NothingLeft(epoch);
        _epochs[epoch].paid = it.total;
        emit Swept(epoch, rest);
        _send(split.treasury(), rest);
    }

    /// @inheritdoc IEpochs
    function stretchOf(uint64 epoch, address account, uint8 role) external view returns (uint32 first, uint32 end) {
        Stretch memory it = _stretches[epoch][account][role];
        return (it.first, it.end);
    }

    /// @inheritdoc IEpochs
    function tillOf(address node) public view returns (address) {
        return Clones.predictDeterministicAddress(till, _salt(node));
    }

    /// @inheritdoc IEpochs
    function revenueOf(uint64 epoch, address node) public view override returns (uint128) {
        return _revenue[epoch][node];
    }

    function _claim(
        uint64 epoch,
        Line calldata first,
        bytes32[] calldata firstProof,
        Line calldata last,
        bytes32[] calldata lastProof
    ) private returns (uint128 amount) {
        Root memory it = _roots[epoch];
        if (it.status != Status.FINAL) revert NotFinal(epoch);
        _prove(it.root, first, firstProof);
        _prove(it.root, last, lastProof);
        if (first.account != last.account || first.role != last.role) revert NotOneStretch();
        amount = (uint256(last.sumBefore) + last.amount - first.sumBefore).toUint128();
        amount -= _lengthen(_stretches[epoch][first.account][first.role], first.index, last.index, amount);
        uint128 paid = _epochs[epoch].paid + amount;
        if (paid > it.total) revert AboveTotal(amount);
        _epochs[epoch].paid = paid;
        _pay(epoch, first.account, first.role, amount);
    }

    function _pay(uint64 epoch, address account, uint8 role, uint128 amount) private {
        address owner = registry.ownerOf(account);
        address to = owner == address(0) ? account : owner;
        bool own = role == Lines.PROVIDER || role == Lines.PUBLISHER || role == Lines.UNRECEIPTED;
        if (own || owner == address(0)) {
            if (msg.sender != account && msg.sender != to) revert NotYours(account);
            emit Paid(epoch, account, to, role, amount);
            _send(to, amount);
        } else {
            emit Paid(epoch, account, address(registry), role, amount);
            registry.reward(account, amount);
        }
    }

    /// @notice Makes a stretch longer.
    /// @dev It grows at either end, or to one that contains it: anybody may have a part of others' lines paid, and
    /// the rest is still claimed at once.
    /// @return paid what the lines were paid already
    function _lengthen(Stretch storage it, uint32 first, uint32 last, uint128 amount) private returns (uint128 paid) {
        (uint32 begins, uint32 end) = (it.first, it.end);
        if (first > last || (first == begins && last + 1 == end)) revert NotOneStretch();
        if (end == 0 || (first <= begins && last + 1 >= end)) {
            (it.first, it.end, paid) = (first, last + 1, it.paid);
        } else if (first == end) {
            it.end = last + 1;
        } else if (last + 1 == begins) {
            it.first = first;
        } else {
            revert NotOneStretch();
        }
        it.paid += amount - paid;
    }

    function _checkSigners(uint64 epoch, bytes32 digest, address[] calldata signers, bytes[] calldata signatures)
        private
        view
    {
        (uint64 named, uint48 counted) = settlersOf(epoch);
        if (named == 0) revert NotEnded(epoch);
        if (signers.length != signatures.length) revert BadSigner(address(0));
        uint256 stake = 0;
        address before = address(0);
        for (uint256 i = 0; i < signers.length; ++i) {
            address signer = signers[i];
            if (signer <= before || Signatures.signer(digest, signatures[i]) != signer) revert BadSigner(signer);
            before = signer;
            uint128 its = registry.stakeAt(signer, _SETTLER, counted);
            // Who signs has something to lose by it: whom one slash hit may sign a right root later, who left may not.
            if (its == 0 || registry.stakeOf(signer) < its / 2) revert BadSigner(signer);
            stake += its;
        }
        uint256 all = registry.totalAt(_SETTLER, counted);
        if (stake * 3 <= all * 2) revert NoQuorum(stake, all);
    }

    function _digestOf(uint64 epoch, bytes32 root, uint32 count, uint128 total, bytes32 receipts)
        private
        view
        returns (bytes32)
    {
        bytes32 inner = keccak256(abi.encode(_EPOCH_ROOT, epoch, root, count, total, receipts));
        return MessageHashUtils.toTypedDataHash(registry.domainSeparator(), inner);
    }

    function _salt(address node) private pure returns (bytes32) {
        return bytes32(uint256(uint160(node)));
    }
}
