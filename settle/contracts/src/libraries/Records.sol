// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEvidence} from "../interfaces/IEvidence.sol";

/// @title The struct hashes (EIP-712) of the records that peers sign
/// @notice Names, fields and their order are wire's; a test holds the digests equal. All fields are static, so that
/// each is one keccak256 over the type's hash and the words.
library Records {
    bytes32 private constant _VOTE = keccak256("Vote(bytes32 receipt,bytes32 committee,uint64 epoch,uint8 verdict)");
    bytes32 private constant _COMMIT =
        keccak256("Commit(bytes32 request,bytes32 committee,uint64 epoch,bytes32 commitment)");
    bytes32 private constant _RECEIPT = keccak256(
        "Receipt(bytes32 request,bytes32 nonce,address payer,address provider,bytes32 model,bytes32 inputs,"
        "bytes32 outputs,bytes32 runtime,uint8 tier,uint64 units,uint64 tokensIn,uint64 tokensOut,uint64 computeUs,"
        "uint128 price,uint64 started,uint64 finished)"
    );
    bytes32 private constant _EPOCH_ROOT =
        keccak256("EpochRoot(uint64 epoch,bytes32 root,uint32 count,uint128 total,bytes32 receipts)");
    bytes32 private constant _FRAUD =
        keccak256("Fraud(uint8 kind,address culprit,bytes32 subject,bytes32 first,bytes32 second)");
    bytes32 private constant _RULING = keccak256("Ruling(bytes32 evidence,bool upheld)");

    /// @notice A committee member's verdict on a receipt.
    function hash(IEvidence.Vote memory it) internal pure returns (bytes32) {
        return keccak256(abi.encode(_VOTE, it));
    }

    /// @notice A committee member's sealed word on a request.
    function hash(IEvidence.Commit memory it) internal pure returns (bytes32) {
        return keccak256(abi.encode(_COMMIT, it));
    }

    /// @notice A provider's receipt.
    function hash(IEvidence.Receipt memory it) internal pure returns (bytes32) {
        return keccak256(abi.encode(_RECEIPT, it));
    }

    /// @notice A settler's word on an epoch.
    function hash(IEvidence.EpochRoot memory it) internal pure returns (bytes32) {
        return keccak256(abi.encode(_EPOCH_ROOT, it));
    }

    /// @notice What names a fraud: who broke its word on what, and the digests of the two words.
    function fraud(uint8 kind, address culprit, bytes32 subject, bytes32 first, bytes32 second)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(_FRAUD, kind, culprit, subject, first, second));
    }

    /// @notice The settlers' word on a contested accusation.
    function ruling(bytes32 evidence, bool upheld) internal pure returns (bytes32) {
        return keccak256(abi.encode(_RULING, evidence, upheld));
    }
}
