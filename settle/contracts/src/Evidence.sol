// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Rulebook} from "./evidence/Rulebook.sol";
import {Seats} from "./evidence/Seats.sol";
import {IEvidence} from "./interfaces/IEvidence.sol";
import {Bip340} from "./libraries/Bip340.sol";
import {Records} from "./libraries/Records.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {Registry} from "./Registry.sol";

/// @title What a node said twice, or said wrongly, shown with its own signatures
/// @notice Two words where there is one settle themselves: nobody but the holder of the key can have signed both, so
/// the node is slashed at once. A wrong answer rests on other nodes' judgement, and a model that multiplies rounding
/// can make honest ones differ: so it is an accusation first. Nobody contests it in its window, and it holds; somebody
/// does, and it holds only if more than two thirds of the settlers' stake say so, in time.
///
/// Whether the committee was the one drawn for the request is not repeated here (a draw over the whole registry is too
/// much for a transaction). What is: all places were active verifiers of that epoch with the weights they had, the
/// bench counts no more than `verify.committee` lets it, and neither who asked nor who answered has a place. Peers look
/// at each accusation, draw anew and contest what was not drawn.
contract Evidence is Rulebook {
    struct Accusation {
        address culprit;
        uint48 blockNumber; // the settlers' stake at its end counts for the ruling
        bool contested;
        bool closed; // slashed, or dismissed
        address reporter;
        uint64 until; // when its window ends; of one that was contested and upheld, when that was
        bool upheld;
        bytes32 receipt;
    }

    error AlreadyShown(bytes32 fraud);
    error ContestIsOver(uint64 until);
    error ContestedNeedsRuling(bytes32 fraud);
    error MayNotContest(address node, address caller);
    error MayNotJudge(address node);
    error NotContested(bytes32 fraud);
    error NotEnoughStake(uint256 has, uint256 total);
    error NotEnoughWeight(uint256 has, uint256 total);
    error NotJudgedByCommittee(uint8 tier);
    error NotOnOneSubject();
    error NotSignedBy(address node);
    error RulingIsLate(uint64 until);
    error SignersNotSorted();
    error StillContestable(uint64 until);
    error UnknownAccusation(bytes32 fraud);
    error UnknownNode(address node);
    error UnknownPlace(uint16 place);
    error WordsAreTheSame();

    /// @notice The kind of a verifier that voted on one receipt twice.
    uint8 public constant TWO_VOTES = 1;
    /// @notice The kind of a verifier that committed on one request twice.
    uint8 public constant TWO_COMMITS = 2;
    /// @notice The kind of a provider that answered one request twice.
    uint8 public constant TWO_RECEIPTS = 3;
    /// @notice The kind of a provider whose committee refused its answer.
    uint8 public constant WRONG_ANSWER = 4;
    /// @notice The kind of a settler that signed two roots over the same receipts. (5 settles nothing.)
    uint8 public constant TWO_ROOTS = 6;

    uint8 private constant _REJECT = 2;
    uint8 private constant _JUDGED_TIERS = 6; // wire.tier: the bits of `sampled` and `quorum`
    uint8 private constant _SETTLER = 4;

    mapping(bytes32 fraud => bool) private _shown;
    mapping(bytes32 fraud => Accusation) private _accusations;
    mapping(bytes32 receipt => bytes32 fraud) private _fraudOf;

    /// @notice Evidence that no fraud was shown to yet.
    /// @param registry_ where nodes are
    /// @param rules_ the first rules
    /// @param owner_ who may change them
    constructor(Registry registry_, Rules memory rules_, address owner_) Ownable(owner_) Rulebook(registry_, rules_) {}

    // ----------------------------------------------------------------------------------------------- two words for one

    /// @inheritdoc IEvidence
    function twoVotes(
        address node,
        Vote calldata a,
        bytes calldata signatureA,
        Vote calldata b,
        bytes calldata signatureB
    ) external returns (bytes32 fraud) {
        if (a.receipt != b.receipt || a.committee != b.committee || a.epoch != b.epoch) revert NotOnOneSubject();
        (bytes32 first, bytes32 second) = (_digest(Records.hash(a)), _digest(Records.hash(b)));
        _requireSchnorr(node, first, signatureA);
        _requireSchnorr(node, second, signatureB);
        fraud = _settle(TWO_VOTES, node, a.receipt, first, second, _rules.twoVotesBps);
    }

    /// @inheritdoc IEvidence
    function twoCommits(
        address node,
        Commit calldata a,
        bytes calldata signatureA,
        Commit calldata b,
        bytes calldata signatureB
    ) external returns (bytes32 fraud) {
        if (a.request != b.request || a.committee != b.committee || a.epoch != b.epoch) revert NotOnOneSubject();
        (bytes32 first, bytes32 second) = (_digest(Records.hash(a)), _digest(Records.hash(b)));
        _requireSchnorr(node, first, signatureA);
        _requireSchnorr(node, second, signatureB);
        fraud = _settle(TWO_COMMITS, node, a.request, first, second, _rules.twoCommitsBps);
    }

    /// @inheritdoc IEvidence
    function twoReceipts(Receipt calldata a, bytes calldata signatureA, Receipt calldata b, bytes calldata signatureB)
        external
        returns (bytes32 fraud)
    {
        if (a.request != b.request || a.provider != b.provider) revert NotOnOneSubject();
        (bytes32 first, bytes32 second) = (_digest(Records.hash(a)), _digest(Records.hash(b)));
        _requireEcdsa(a.provider, first, signatureA);
        _requireEcdsa(a.provider, second, signatureB);
        fraud = _settle(TWO_RECEIPTS, a.provider, a.request, first, second, _rules.twoReceiptsBps);
    }

    /// @inheritdoc IEvidence
    function twoRoots(
        address node,
        EpochRoot calldata a,
        bytes calldata signatureA,
        EpochRoot calldata b,
        bytes calldata signatureB
    ) external returns (bytes32 fraud) {
        if (a.epoch != b.epoch || a.receipts != b.receipts) revert NotOnOneSubject();
        (bytes32 first, bytes32 second) = (_digest(Records.hash(a)), _digest(Records.hash(b)));
        _requireEcdsa(node, first, signatureA);
        _requireEcdsa(node, second, signatureB);
        fraud = _settle(TWO_ROOTS, node, a.receipts, first, second, _rules.twoRootsBps);
    }

    // ------------------------------------------------------------------------------------------------- a wrong answer

    /// @inheritdoc IEvidence
    function accuse(
        Receipt calldata receipt,
        bytes calldata providerSignature,
        Committee calldata committee,
        uint16[] calldata signers,
        bytes[] calldata signatures
    ) external returns (bytes32 fraud) {
        if (receipt.tier & _JUDGED_TIERS == 0) revert NotJudgedByCommittee(receipt.tier);
        bytes32 digest = _digest(Records.hash(receipt));
        fraud = _digest(Records.fraud(WRONG_ANSWER, receipt.provider, receipt.request, digest, bytes32(0)));
        if (_accusations[fraud].until != 0) revert AlreadyShown(fraud);
        // A provider without a bond has nothing to lose but what the receipt would bring.
        if (Signatures.signer(digest, providerSignature) != receipt.provider) revert NotSignedBy(receipt.provider);
        _requireRefused(receipt, digest, committee, signers, signatures);
        uint64 until = uint64(block.timestamp) + _rules.contestSeconds;
        Accusation storage it = _accusations[fraud];
        it.culprit = receipt.provider;
        it.blockNumber = uint48(block.number);
        it.reporter = msg.sender;
        it.until = until;
        it.receipt = digest;
        _fraudOf[digest] = fraud;
        emit Accused(fraud, digest, receipt.provider, msg.sender, until);
    }

    /// @inheritdoc IEvidence
    function contest(bytes32 fraud, address node) external {
        Accusation storage it = _known(fraud);
        if (block.timestamp >= it.until) revert ContestIsOver(it.until);
        bool itself = node == it.culprit && node == msg.sender; // whose owner nobody knows, if it is not registered
        if (!itself && (registry.ownerOf(node) != msg.sender || (node != it.culprit && !_active(node)))) {
            revert MayNotContest(node, msg.sender);
        }
        it.contested = true;
        emit Contested(fraud);
    }

    /// @inheritdoc IEvidence
    function rule(bytes32 fraud, bool upheld, address[] calldata signers, bytes[] calldata signatures) external {
        Accusation storage it = _known(fraud);
        if (!it.contested) revert NotContested(fraud);
        if (it.closed) revert AlreadyShown(fraud);
        uint64 last = it.until + _rules.rulingSeconds;
        if (block.timestamp >= last) revert RulingIsLate(last);
        _requireSettlers(_digest(Records.ruling(fraud, upheld)), it.culprit, it.blockNumber, signers, signatures);
        it.closed = true;
        it.upheld = upheld;
        emit Ruled(fraud, upheld);
        if (!upheld) return;
        it.until = uint64(block.timestamp); // since now the receipt is refused
        _slash(WRONG_ANSWER, fraud, it.culprit, it.reporter, _rules.wrongAnswerBps);
    }

    /// @inheritdoc IEvidence
    function execute(bytes32 fraud) external {
        Accusation storage it = _known(fraud);
        if (it.contested) revert ContestedNeedsRuling(fraud);
        if (it.closed) revert AlreadyShown(fraud);
        if (block.timestamp < it.until) revert StillContestable(it.until);
        it.closed = true;
        it.upheld = true;
        _slash(WRONG_ANSWER, fraud, it.culprit, it.reporter, _rules.wrongAnswerBps);
    }

    // ----------------------------------------------------------------------------------------------------------- views

    /// @notice Whether this fraud has been slashed for at once, or stands accused or ruled on.
    function isKnown(bytes32 fraud) external view returns (bool) {
        return _shown[fraud] || _accusations[fraud].until != 0;
    }

    /// @notice One accusation; zeros where there is none.
    function accusation(bytes32 fraud) external view returns (Accusation memory) {
        return _accusations[fraud];
    }

    /// @inheritdoc IEvidence
    function isRefused(bytes32 receipt) external view returns (bool) {
        return refusedAt(receipt) != 0;
    }

    /// @inheritdoc IEvidence
    function receiptDigest(Receipt calldata receipt) external view returns (bytes32) {
        return _digest(Records.hash(receipt));
    }

    /// @notice The vote's EIP-712 digest under the registry's domain.
    function voteDigest(Vote calldata vote) external view returns (bytes32) {
        return _digest(Records.hash(vote));
    }

    /// @notice The commit's EIP-712 digest under the registry's domain.
    function commitDigest(Commit calldata commit) external view returns (bytes32) {
        return _digest(Records.hash(commit));
    }

    /// @notice The root's EIP-712 digest under the registry's domain.
    function rootDigest(EpochRoot calldata root) external view returns (bytes32) {
        return _digest(Records.hash(root));
    }

    /// @notice The ruling's EIP-712 digest under the registry's domain.
    function rulingDigest(bytes32 fraud, bool upheld) external view returns (bytes32) {
        return _digest(Records.ruling(fraud, upheld));
    }

    /// @notice What commits and votes name the committee by, and what each place counts.
    function committeeRoot(Committee calldata committee) external view returns (bytes32 root, uint256[] memory counts) {
        (root, counts,) = Seats.seat(committee, registry, _rules.minMembers);
    }

    /// @notice Whether a key, by its x coordinate, signed these 32 bytes (BIP340).
    function isSchnorr(bytes32 key, bytes32 digest, bytes calldata signature) external view returns (bool) {
        return Bip340.verify(key, digest, signature);
    }

    /// @inheritdoc IEvidence
    function refusedAt(bytes32 receipt) public view returns (uint64) {
        Accusation storage it = _accusations[_fraudOf[receipt]];
        return it.upheld || (!it.contested && block.timestamp >= it.until) ? it.until : 0;
    }

    // --------------------------------------------------------------------------------------------------------- private

    function _settle(uint8 kind, address culprit, bytes32 subject, bytes32 first, bytes32 second, uint16 bps)
        private
        returns (bytes32 fraud)
    {
        if (first == second) revert WordsAreTheSame();
        (first, second) = first < second ? (first, second) : (second, first); // in whichever order they are shown
        fraud = _digest(Records.fraud(kind, culprit, subject, first, second));
        if (_shown[fraud]) revert AlreadyShown(fraud);
        _shown[fraud] = true;
        _slash(kind, fraud, culprit, msg.sender, bps);
    }

    function _slash(uint8 kind, bytes32 fraud, address culprit, address reporter, uint16 bps) private {
        emit Shown(fraud, kind, culprit, reporter);
        if (registry.ownerOf(culprit) != address(0)) registry.slash(culprit, bps, fraud, reporter);
    }

    function _known(bytes32 fraud) private view returns (Accusation storage it) {
        it = _accusations[fraud];
        if (it.until == 0) revert UnknownAccusation(fraud);
    }

    function _active(address node) private view returns (bool) {
        for (uint8 role = 1; role <= 8; role <<= 1) {
            if (registry.isActive(node, role)) return true;
        }
        return false;
    }

    function _digest(bytes32 hash) private view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(registry.domainSeparator(), hash);
    }

    function _requireSchnorr(address node, bytes32 digest, bytes calldata signature) private view {
        bytes32 key = registry.keyOf(node);
        if (key == 0) revert UnknownNode(node);
        if (!Bip340.verify(key, digest, signature)) revert NotSignedBy(node);
    }

    function _requireEcdsa(address node, bytes32 digest, bytes calldata signature) private view {
        if (registry.keyOf(node) == 0) revert UnknownNode(node);
        if (Signatures.signer(digest, signature) != node) revert NotSignedBy(node);
    }

    /// @dev More than two thirds of the members' weight refused the receipt, and none of them had asked or answered.
    function _requireRefused(
        Receipt calldata receipt,
        bytes32 digest,
        Committee calldata committee,
        uint16[] calldata signers,
        bytes[] calldata signatures
    ) private view {
        (bytes32 root, uint256[] memory counts, uint256 total) = Seats.seat(committee, registry, _rules.minMembers);
        for (uint256 i = 0; i < committee.places.length; ++i) {
            address node = committee.places[i];
            if (node == receipt.provider || node == receipt.payer) revert MayNotJudge(node);
        }
        bytes32 vote = _digest(Records.hash(Vote(digest, root, committee.epoch, _REJECT)));
        if (signers.length != signatures.length) revert SignersNotSorted();
        uint256 weight = 0;
        for (uint256 i = 0; i < signers.length; ++i) {
            if (i != 0 && signers[i] <= signers[i - 1]) revert SignersNotSorted();
            if (signers[i] >= counts.length) revert UnknownPlace(signers[i]);
            weight += counts[signers[i]];
            _requireSchnorr(committee.places[signers[i]], vote, signatures[i]);
        }
        if (weight * 3 <= total * 2) revert NotEnoughWeight(weight, total);
    }

    /// @dev More than two thirds of the settlers' stake at the end of that block signed, the accused's own apart.
    function _requireSettlers(
        bytes32 digest,
        address culprit,
        uint48 blockNumber,
        address[] calldata signers,
        bytes[] calldata signatures
    ) private view {
        if (signers.length != signatures.length) revert SignersNotSorted();
        uint256 stake = 0;
        for (uint256 i = 0; i < signers.length; ++i) {
            if (i != 0 && signers[i] <= signers[i - 1]) revert SignersNotSorted();
            if (signers[i] == culprit) revert MayNotJudge(culprit);
            _requireEcdsa(signers[i], digest, signatures[i]);
            stake += registry.stakeAt(signers[i], _SETTLER, blockNumber);
        }
        uint256 total = registry.totalAt(_SETTLER, blockNumber) - registry.stakeAt(culprit, _SETTLER, blockNumber);
        if (stake * 3 <= total * 2) revert NotEnoughStake(stake, total);
    }
}
