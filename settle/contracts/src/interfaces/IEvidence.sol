// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What a node said twice, or said wrongly, shown with its own signatures
/// @notice The structs are wire's, under the registry's domain. A fraud is named by the digest of Fraud(kind, culprit,
/// subject, first, second), as `wire.fraud` has it, and counts once. Kinds: 1 two votes, 2 two commits, 3 two receipts,
/// 4 a wrong answer, 6 two roots (5 are lazy votes, which settle nothing).
/// Votes and commits are signed with BIP340 (64 bytes), receipts, roots and rulings with ECDSA (65 bytes).
interface IEvidence {
    struct Vote {
        bytes32 receipt;
        bytes32 committee;
        uint64 epoch;
        uint8 verdict; // 1 accept, 2 reject, 3 abstain
    }

    struct Commit {
        bytes32 request;
        bytes32 committee;
        uint64 epoch;
        bytes32 commitment;
    }

    struct Receipt {
        bytes32 request;
        bytes32 nonce;
        address payer;
        address provider;
        bytes32 model;
        bytes32 inputs;
        bytes32 outputs;
        bytes32 runtime;
        uint8 tier;
        uint64 units;
        uint64 tokensIn;
        uint64 tokensOut;
        uint64 computeUs;
        uint128 price;
        uint64 started;
        uint64 finished;
    }

    struct EpochRoot {
        uint64 epoch;
        bytes32 root;
        uint32 count;
        uint128 total;
        bytes32 receipts;
    }

    /// @notice Who judged: members (the first `size` places, by key), then the bench. Nodes, by their addresses.
    /// @dev The weights are not given: each is what the chain says for the epoch, max(1, stakeAt(node, VERIFIER,
    /// openedBlock(epoch)) / 10**18), so a made-up committee has another root than the one that its votes name.
    struct Committee {
        uint64 epoch;
        uint16 size;
        address[] places;
    }

    /// @notice The fraud stands, and who did it was slashed.
    event Shown(bytes32 indexed fraud, uint8 indexed kind, address indexed culprit, address reporter);
    /// @notice A committee refused an answer.
    /// @param until until when it may be contested, in seconds UTC
    event Accused(
        bytes32 indexed fraud, bytes32 indexed receipt, address indexed culprit, address reporter, uint64 until
    );
    /// @notice Somebody contested it: it needs a ruling.
    event Contested(bytes32 indexed fraud);
    /// @notice The settlers ruled.
    event Ruled(bytes32 indexed fraud, bool upheld);

    /// @notice Anyone: the node voted on one receipt twice, and differently. Slashes at once.
    function twoVotes(
        address node,
        Vote calldata a,
        bytes calldata signatureA,
        Vote calldata b,
        bytes calldata signatureB
    ) external returns (bytes32 fraud);
    /// @notice Anyone: the node committed on one request twice, to different outputs. Slashes at once.
    function twoCommits(
        address node,
        Commit calldata a,
        bytes calldata signatureA,
        Commit calldata b,
        bytes calldata signatureB
    ) external returns (bytes32 fraud);
    /// @notice Anyone: the provider signed two receipts for one request. Slashes at once.
    function twoReceipts(Receipt calldata a, bytes calldata signatureA, Receipt calldata b, bytes calldata signatureB)
        external
        returns (bytes32 fraud);
    /// @notice Anyone: the settler signed two roots over the same receipts of one epoch. Slashes at once. (Over other
    /// receipts another root is right: settlers sign anew when more have come in, or when a root was cancelled.)
    function twoRoots(
        address node,
        EpochRoot calldata a,
        bytes calldata signatureA,
        EpochRoot calldata b,
        bytes calldata signatureB
    ) external returns (bytes32 fraud);
    /// @notice Anyone: more than two thirds of the committee's weight refused the receipt. An accusation: it may be
    /// contested until its window ends.
    /// @param providerSignature the provider's over the receipt
    /// @param signers the places that voted REJECT, ascending
    /// @param signatures theirs over Vote(receipt, committee, epoch, REJECT), in the same order
    function accuse(
        Receipt calldata receipt,
        bytes calldata providerSignature,
        Committee calldata committee,
        uint16[] calldata signers,
        bytes[] calldata signatures
    ) external returns (bytes32 fraud);
    /// @notice The accused, its owner, or the owner of any active node: it holds only with the settlers' ruling then.
    /// @param node the caller's own
    function contest(bytes32 fraud, address node) external;
    /// @notice Anyone: the settlers' ruling on a contested accusation, signed by more than two thirds of their stake.
    /// @param signers settlers' nodes, ascending
    /// @param signatures theirs over Ruling(fraud, upheld), in the same order
    function rule(bytes32 fraud, bool upheld, address[] calldata signers, bytes[] calldata signatures) external;
    /// @notice Anyone: slashes for an accusation that nobody contested in its window.
    function execute(bytes32 fraud) external;

    /// @notice The receipt's EIP-712 digest under the registry's domain.
    function receiptDigest(Receipt calldata receipt) external view returns (bytes32);
    /// @notice Whether a quorum refused the receipt and that stands: uncontested after its window, or upheld.
    function isRefused(bytes32 receipt) external view returns (bool);
    /// @notice Since when the receipt is refused, seconds UTC: when its accusation's window ended uncontested, or when it was
    /// upheld. 0 for one that is not.
    function refusedAt(bytes32 receipt) external view returns (uint64);
    /// @notice How long an accusation can take from its beginning to its end, in seconds. Unbonding takes longer.
    function windowSeconds() external view returns (uint64);
}
