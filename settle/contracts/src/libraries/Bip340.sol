// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title BIP340 (Schnorr) signatures over secp256k1, with the precompiles that every EVM has
/// @notice s·G − e·P has to be R, the point whose x is the signature's first half and whose y is even. `ecrecover`
/// works out px⁻¹·(σ·P − h·G) for whatever h and σ it is given, P being the even point of x = px; with h = −s·px and
/// σ = −e·px this is s·G − e·P, of which it tells the address. R's own address takes a square root, which is a power
/// modulo p.
/// @dev Addresses are 160 bits of keccak256: who would forge needs a preimage of one that its own r determines. A key
/// with px ≥ n is refused, as `ecrecover` takes none; there is one such key in 2¹²⁸.
library Bip340 {
    uint256 private constant _P = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F;
    uint256 private constant _N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    bytes32 private constant _TAG = sha256("BIP0340/challenge");

    /// @notice Whether the key signed.
    /// @param key the key's x coordinate
    /// @param digest the 32 bytes that were signed
    /// @param signature 64 bytes: R's x, and s
    function verify(bytes32 key, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        if (signature.length != 64) return false;
        bytes32 r = bytes32(signature[:32]);
        uint256 s = uint256(bytes32(signature[32:]));
        uint256 px = uint256(key);
        if (px == 0 || px >= _N || uint256(r) >= _P || s >= _N) return false;
        uint256 e = uint256(sha256(abi.encodePacked(_TAG, _TAG, r, key, digest))) % _N;
        // Of 0 the negative is 0 and not n. A zero σ makes `ecrecover` refuse, as it does a px that is no point's.
        bytes32 h = bytes32((_N - mulmod(s, px, _N)) % _N);
        bytes32 sigma = bytes32((_N - mulmod(e, px, _N)) % _N);
        address found = ecrecover(h, 27, key, sigma);
        return found != address(0) && found == _addressOfEven(uint256(r));
    }

    /// @dev The address of the point with this x and an even y; zero when there is none.
    function _addressOfEven(uint256 x) private view returns (address) {
        uint256 square = addmod(mulmod(mulmod(x, x, _P), x, _P), 7, _P);
        uint256 y = Math.modExp(square, (_P + 1) / 4, _P); // p ≡ 3 (mod 4)
        if (mulmod(y, y, _P) != square) return address(0);
        if (y & 1 == 1) y = _P - y;
        return address(uint160(uint256(keccak256(abi.encodePacked(x, y)))));
    }
}
