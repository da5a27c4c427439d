// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Who takes part, with which node key, and what it has at stake
/// @notice A node is named by the EVM address of its secp256k1 key. Its owner is another account, which the node key
/// agreed to with a signature (`Bind`). This contract's EIP-712 domain ("Hallmark", "1") is the network's.
/// Roles are bits: 1 provider, 2 verifier, 4 settler, 8 hub.
interface IRegistry {
    event Registered(address indexed node, address indexed owner, bytes publicKey);
    event RolesSet(address indexed node, uint8 roles);
    event CommissionSet(address indexed node, uint16 bps);
    event Bonded(address indexed node, address indexed holder, uint128 amount, uint128 shares);
    event Unbonding(
        address indexed node, address indexed holder, uint256 indexed id, uint128 shares, uint64 releaseAt
    );
    event Withdrawn(address indexed node, address indexed holder, uint256 indexed id, uint128 amount);
    event Slashed(
        address indexed node, bytes32 indexed evidence, uint128 amount, address reporter, uint128 reported, uint128 rest
    );
    event Rewarded(address indexed node, uint128 amount, uint128 commission);

    /// @param publicKey the node's key, 64 bytes (x, y)
    /// @param deadline until when the node's signature over Bind(node, owner, deadline) holds, in seconds UTC
    function register(bytes calldata publicKey, uint8 roles, uint16 commissionBps, uint64 deadline, bytes calldata signature)
        external
        returns (address node);
    function setRoles(address node, uint8 roles) external;
    function setCommission(address node, uint16 bps) external;
    /// @notice Put tokens behind a node: its owner's own bond, or anybody's delegation.
    function bond(address node, uint128 amount) external returns (uint128 shares);
    function unbond(address node, uint128 shares) external returns (uint256 id);
    function withdraw(uint256 id) external returns (uint128 amount);
    /// @notice Only slashers. Takes `bps` of all that stands behind the node, what is unbonding included.
    function slash(address node, uint16 bps, bytes32 evidence, address reporter) external returns (uint128 amount);
    /// @notice Takes tokens from the caller: the owner's commission at once, the rest to all who stand behind the node.
    function reward(address node, uint128 amount) external;

    function domainSeparator() external view returns (bytes32);
    function ownerOf(address node) external view returns (address);
    /// @notice The x coordinate of the node's key, as BIP340 knows it; zero for a stranger.
    function keyOf(address node) external view returns (bytes32);
    function rolesOf(address node) external view returns (uint8);
    function stakeOf(address node) external view returns (uint128);
    /// @notice Whether the node has the role, its owner's own bond is large enough for it, and it is not jailed.
    function isActive(address node, uint8 role) external view returns (bool);
    /// @notice The stake that counted for a role at the end of a past block: zero for a node that was not active in it.
    function stakeAt(address node, uint8 role, uint48 blockNumber) external view returns (uint128);
    function totalAt(uint8 role, uint48 blockNumber) external view returns (uint128);
    function nodeCount() external view returns (uint256);
    function nodeAt(uint256 index) external view returns (address);
}
