// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What a node said twice, or said wrongly, shown with its own signatures
/// @notice The structs are wire's (Vote, Commit, Receipt), under the registry's domain. A fraud is named by the digest of
/// Fraud(kind, culprit, subject, first, second), as `wire.fraud` has it, and counts once.
interface IEvidence {
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

    event Shown(bytes32 indexed fraud, uint8 indexed kind, address indexed culprit, address reporter);
    event Accused(bytes32 indexed fraud, bytes32 indexed receipt, address indexed culprit, address reporter, uint64 until);
    event Contested(bytes32 indexed fraud);
    event Ruled(bytes32 indexed fraud, bool upheld);

    /// @notice The receipt's EIP-712 digest under the registry's domain.
    function receiptDigest(Receipt calldata receipt) external view returns (bytes32);
    /// @notice Whether a quorum refused the receipt and that stands: uncontested after its window, or upheld.
    function isRefused(bytes32 receipt) external view returns (bool);
}
