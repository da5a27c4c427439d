// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title An account for tests that is a contract: it does what its key says, and signs as its key does (ERC-1271)
/// @notice For places where an account without a key of its own has to work.
contract Wallet is IERC1271 {
    address private immutable KEY;

    constructor(address key) {
        KEY = key;
    }

    /// @notice Calls something as this account. Anyone may, it is for tests.
    function run(address target, bytes calldata data) external returns (bytes memory) {
        return Address.functionCall(target, data);
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        bool right = failure == ECDSA.RecoverError.NoError && signer == KEY;
        return right ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}
