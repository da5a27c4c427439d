// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title A node's ECDSA signatures, as peers keep them and as wallets make them
/// @notice 65 bytes: r, s (low), and the recovery id as 0 or 1 (wire.keys) or as 27 or 28 (wallets).
library Signatures {
    /// @notice The address whose key signed; zero where the bytes are no signature.
    function signer(bytes32 digest, bytes calldata signature) internal pure returns (address) {
        if (signature.length != 65) return address(0);
        uint8 id = uint8(signature[64]);
        if (id < 27) id += 27;
        (address recovered, ECDSA.RecoverError wrong,) =
            ECDSA.tryRecover(digest, id, bytes32(signature[:32]), bytes32(signature[32:64]));
        return wrong == ECDSA.RecoverError.NoError ? recovered : address(0);
    }
}
