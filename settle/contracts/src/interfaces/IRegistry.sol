// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Who takes part, with which node key, and what it has at stake
/// @notice A node is named by the EVM address of its secp256k1 key. Its owner is another account, which the node key
/// agreed to with a signature (`Bind`). This contract's EIP-712 domain ("Hallmark", "1") is the network's.
/// Roles are bits: 1 provider, 2 verifier, 4 settler, 8 hub.
interface IRegistry {
    /// @notice A node came in. The key is its x and y, 64 bytes.
    event Registered(address indexed node, address indexed owner, bytes publicKey);
    /// @notice The roles that the node wants; which count says StakeSet.
    event RolesSet(address indexed node, uint8 roles);
    /// @notice The commission is another one.
    /// @param from from when it counts, in seconds UTC: a raise leaves delegators the time to go
    event CommissionSet(address indexed node, uint16 bps, uint64 from);
    /// @notice Tokens came behind a node.
    event Bonded(address indexed node, address indexed holder, uint128 amount, uint128 shares);
    /// @notice Shares of a node are leaving.
    event Unbonding(
        address indexed node, address indexed holder, uint256 indexed id, uint128 shares, uint64 releaseAt
    );
    /// @notice They left, and were worth this much.
    event Withdrawn(address indexed node, address indexed holder, uint256 indexed id, uint128 amount);
    /// @notice All behind the node lost a part: `reported` of it is the reporter's, `rest` burned or the treasury's.
    event Slashed(
        address indexed node, bytes32 indexed evidence, uint128 amount, address reporter, uint128 reported, uint128 rest
    );
    /// @notice The node counts no more, until its owner frees it at that time or later.
    event Jailed(address indexed node, uint64 until);
    /// @notice The node counts again.
    event Unjailed(address indexed node);
    /// @notice The node was paid; `commission` of it went to its owner, the rest to all behind it.
    event Rewarded(address indexed node, uint128 amount, uint128 commission);
    /// @notice The stake that counts from this block on, and for which roles (bits).
    event StakeSet(address indexed node, uint128 stake, uint8 roles);

    /// @notice The caller owns the node from now on.
    /// @param publicKey the node's key, 64 bytes (x, y)
    /// @param deadline until when the node's signature over Bind(node, owner, deadline) holds, in seconds UTC
    /// @param signature 65 bytes; the recovery id counts from 0 (wire.keys) or from 27 (wallets)
    function register(
        bytes calldata publicKey,
        uint8 roles,
        uint16 commissionBps,
        uint64 deadline,
        bytes calldata signature
    ) external returns (address node);
    /// @notice The owner's: the roles that the node takes part in.
    function setRoles(address node, uint8 roles) external;
    /// @notice Lower at once; higher only after an unbonding period, so that delegators can leave before.
    function setCommission(address node, uint16 bps) external;
    /// @notice Put tokens behind a node: its owner's own bond (which has to be the first), or anybody's delegation.
    function bond(address node, uint128 amount) external returns (uint128 shares);
    /// @notice From now on these shares count no more and earn nothing; they can be slashed until they are withdrawn.
    function unbond(address node, uint128 shares) external returns (uint256 id);
    /// @notice The holder's: what its shares are worth by now, at most what they were when they began to leave.
    function withdraw(uint256 id) external returns (uint128 amount);
    /// @notice Only slashers. Takes `bps` of all that stands behind the node, what is unbonding included.
    function slash(address node, uint16 bps, bytes32 evidence, address reporter) external returns (uint128 amount);
    /// @notice Takes tokens from the caller: the owner's commission at once, the rest to all who stand behind the node.
    /// What it adds counts as stake from the node's next change on, or from `refresh`.
    function reward(address node, uint128 amount) external;
    /// @notice The owner's, when the jail's time is over: the node counts again.
    function unjail(address node) external;
    /// @notice Anyone: lets the node's stake count as it is now, under the minimum bonds of now.
    function refresh(address node) external;

    /// @notice The network's EIP-712 domain separator.
    function domainSeparator() external view returns (bytes32);
    /// @notice The owner's account; zero for a stranger.
    function ownerOf(address node) external view returns (address);
    /// @notice The x coordinate of the node's key, as BIP340 knows it; zero for a stranger.
    function keyOf(address node) external view returns (bytes32);
    /// @notice The node's key in 33 bytes (SEC 1): 2 or 3 for y's parity, and x; zeros for a stranger.
    function compressedKeyOf(address node) external view returns (uint8 prefix, bytes32 x);
    /// @notice The roles that the node wants.
    function rolesOf(address node) external view returns (uint8);
    /// @notice The owner's part of a reward that comes now.
    function commissionOf(address node) external view returns (uint16);
    /// @notice When the node may be unjailed, in seconds UTC; zero for one that is not jailed.
    function jailedUntil(address node) external view returns (uint64);
    /// @notice All tokens behind the node, the shares of them, and which of these are unbonding.
    function poolOf(address node) external view returns (uint128 assets, uint128 shares, uint128 unbonding);
    /// @notice A holder's shares, those that are unbonding apart.
    function sharesOf(address node, address holder) external view returns (uint128);
    /// @notice What the holder's shares are worth now, those that are unbonding apart.
    function worthOf(address node, address holder) external view returns (uint128);
    /// @notice All tokens behind the node but those unbonding, whether or not it is active.
    function stakeOf(address node) external view returns (uint128);
    /// @notice Whether the node has the role, its owner's own bond is large enough for it, and it is not jailed.
    function isActive(address node, uint8 role) external view returns (bool);
    /// @notice The stake that counted for a role at the end of a past block: zero for a node that was not active in it.
    function stakeAt(address node, uint8 role, uint48 blockNumber) external view returns (uint128);
    /// @notice The stake of all nodes that counted for a role at the end of a past block.
    function totalAt(uint8 role, uint48 blockNumber) external view returns (uint128);
    /// @notice How many nodes ever registered.
    function nodeCount() external view returns (uint256);
    /// @notice One of them.
    function nodeAt(uint256 index) external view returns (address);
}
