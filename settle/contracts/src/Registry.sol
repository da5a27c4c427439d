// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IRegistry} from "./interfaces/IRegistry.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {Settings} from "./registry/Settings.sol";

/// @title Who takes part, with which node key, and what stands behind it
/// @notice Everything behind one node is one pool, divided into shares: its owner's own bond, and others' delegations.
/// A slash lowers what a share is worth, a reward raises it. Shares that are unbonding stay in the pool until they are
/// withdrawn, so nobody leaves before a slash that is on its way.
///
/// The stake that counts for a role is kept by block number, a checkpoint at each change: the pool without what is
/// unbonding, while the node has the role, its owner's own bond reaches the role's minimum, and it is not jailed.
///
/// Rounding is always in the pool's favour. The first to bond is the owner, one share for one unit of the token, and
/// no bond may buy less than a million shares: nobody can make a share so dear that another's bond is rounded away.
/// @dev The token is trusted: it takes no fee on transfers. The owner of this contract is meant to be a timelock.
contract Registry is IRegistry, EIP712, Settings, ReentrancyGuardTransient {
    using Checkpoints for Checkpoints.Trace208;
    using Math for uint256;
    using SafeERC20 for IERC20;

    struct Node {
        address owner;
        uint8 roles;
        uint8 prefix; // 2 or 3, the parity of the key's y
        bool jailed;
        uint64 jailedUntil;
        bytes32 x;
        uint128 assets;
        uint128 shares;
        uint128 unbonding; // of the shares
        uint128 ownUnbonding; // of these, the owner's
        uint16 commission;
        uint16 nextCommission;
        uint64 nextFrom; // when `nextCommission` takes `commission`'s place; 0 for never
    }

    struct Leaving {
        address node;
        uint64 releaseAt;
        address holder;
        uint128 shares;
        uint128 most; // what they were worth then: they earn no more
    }

    error AlreadyRegistered(address node);
    error BlockNotPast(uint48 blockNumber);
    error BondTooSmall(uint128 amount);
    error CommissionTooHigh(uint16 bps, uint16 most);
    error KeyNotOfNode();
    error NotEnoughShares(uint128 has, uint128 wanted);
    error NothingLeftInPool(address node);
    error NotHolder(uint256 id);
    error NotJailed(address node);
    error NotOwnerOfNode(address node, address caller);
    error NotSlasher(address caller);
    error OwnerBondsFirst(address node);
    error SignatureExpired(uint64 deadline);
    error StillJailed(uint64 until);
    error StillUnbonding(uint64 releaseAt);
    error UnknownNode(address node);

    bytes32 private constant _BIND = keccak256("Bind(address node,address owner,uint64 deadline)");

    /// @notice What bonds are in.
    IERC20 public immutable token; // solhint-disable-line immutable-vars-naming

    address[] private _nodes;
    mapping(address node => Node) private _node;
    mapping(bytes32 x => address node) private _ofKey;
    mapping(address node => mapping(address holder => uint128)) private _shares;
    Leaving[] private _leaving;
    // stake << 8 | the roles that it counts for
    mapping(address node => Checkpoints.Trace208) private _stakes;
    mapping(uint8 role => Checkpoints.Trace208) private _totals;

    modifier onlyOwnerOf(address node) {
        if (_node[node].owner != msg.sender) revert NotOwnerOfNode(node, msg.sender);
        _;
    }

    modifier onlyKnown(address node) {
        if (_node[node].owner == address(0)) revert UnknownNode(node);
        _;
    }

    /// @notice A registry without nodes, and without slashers.
    /// @param token_ what bonds are in
    /// @param parameters_ the first parameters
    /// @param owner_ who may change them, and sets the slashers
    constructor(IERC20 token_, Parameters memory parameters_, address owner_) EIP712("Hallmark", "1") Ownable(owner_) {
        token = token_;
        _setParameters(parameters_);
    }

    // ------------------------------------------------------------------------------------------------- who takes part

    /// @inheritdoc IRegistry
    function register(
        bytes calldata publicKey,
        uint8 roles,
        uint16 commissionBps,
        uint64 deadline,
        bytes calldata signature
    ) external returns (address node) {
        if (publicKey.length != 64) revert KeyNotOfNode();
        if (roles > ALL_ROLES) revert UnknownRoles(roles);
        if (commissionBps > MAX_COMMISSION_BPS) revert CommissionTooHigh(commissionBps, MAX_COMMISSION_BPS);
        if (block.timestamp > deadline) revert SignatureExpired(deadline);
        node = address(uint160(uint256(keccak256(publicKey))));
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(_BIND, node, msg.sender, deadline)));
        // That the key is a point of the curve, and this node's, follows: no other key has its address.
        if (Signatures.signer(digest, signature) != node) revert KeyNotOfNode();
        bytes32 x = bytes32(publicKey[:32]);
        // A key and its negative are one BIP340 signer, and one holder's: it may come in only once.
        if (_ofKey[x] != address(0)) revert AlreadyRegistered(_ofKey[x]);
        _ofKey[x] = node;
        _nodes.push(node);
        Node storage it = _node[node];
        it.owner = msg.sender;
        it.x = x;
        it.prefix = 2 + (uint8(publicKey[63]) & 1);
        it.roles = roles;
        it.commission = commissionBps;
        emit Registered(node, msg.sender, publicKey);
        emit RolesSet(node, roles);
        emit CommissionSet(node, commissionBps, uint64(block.timestamp));
    }

    /// @inheritdoc IRegistry
    function setRoles(address node, uint8 roles) external onlyOwnerOf(node) {
        if (roles > ALL_ROLES) revert UnknownRoles(roles);
        _node[node].roles = roles;
        emit RolesSet(node, roles);
        _checkpoint(node);
    }

    /// @inheritdoc IRegistry
    function setCommission(address node, uint16 bps) external onlyOwnerOf(node) {
        if (bps > MAX_COMMISSION_BPS) revert CommissionTooHigh(bps, MAX_COMMISSION_BPS);
        Node storage it = _node[node];
        uint16 now_ = commissionOf(node);
        uint64 from = uint64(block.timestamp);
        it.commission = now_;
        it.nextFrom = 0;
        if (bps <= now_) {
            it.commission = bps;
        } else {
            from += _parameters.unbondingSeconds;
            it.nextCommission = bps;
            it.nextFrom = from;
        }
        emit CommissionSet(node, bps, from);
    }

    // ---------------------------------------------------------------------------------------------- what stands behind

    /// @inheritdoc IRegistry
    function bond(address node, uint128 amount) external nonReentrant onlyKnown(node) returns (uint128 shares) {
        Node storage it = _node[node];
        uint128 all = it.shares;
        if (all == 0) {
            if (msg.sender != it.owner) revert OwnerBondsFirst(node);
            shares = amount;
        } else {
            if (it.assets == 0) revert NothingLeftInPool(node);
            uint256 bought = uint256(amount).mulDiv(all, it.assets);
            if (bought > type(uint128).max - all) revert NothingLeftInPool(node); // so little that shares overflow
            shares = uint128(bought);
        }
        if (amount < MIN_BOND || shares < MIN_BOND) revert BondTooSmall(amount);
        it.assets += amount;
        it.shares = all + shares;
        _shares[node][msg.sender] += shares;
        emit Bonded(node, msg.sender, amount, shares);
        _checkpoint(node);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IRegistry
    function unbond(address node, uint128 shares) external returns (uint256 id) {
        uint128 has = _shares[node][msg.sender];
        if (shares == 0 || shares > has) revert NotEnoughShares(has, shares);
        Node storage it = _node[node];
        uint64 releaseAt = uint64(block.timestamp) + _parameters.unbondingSeconds;
        id = _leaving.length;
        _leaving.push(Leaving(node, releaseAt, msg.sender, shares, _worth(it, shares)));
        _shares[node][msg.sender] = has - shares;
        it.unbonding += shares;
        if (msg.sender == it.owner) it.ownUnbonding += shares;
        emit Unbonding(node, msg.sender, id, shares, releaseAt);
        _checkpoint(node);
    }

    /// @inheritdoc IRegistry
    function withdraw(uint256 id) external nonReentrant returns (uint128 amount) {
        if (id >= _leaving.length || _leaving[id].holder != msg.sender) revert NotHolder(id);
        Leaving memory it = _leaving[id];
        if (block.timestamp < it.releaseAt) revert StillUnbonding(it.releaseAt);
        delete _leaving[id];
        Node storage from = _node[it.node];
        // The last one takes what is left, so that nothing stays behind which is nobody's.
        amount = it.shares == from.shares ? from.assets : uint128(Math.min(_worth(from, it.shares), it.most));
        from.assets -= amount;
        from.shares -= it.shares;
        from.unbonding -= it.shares;
        if (msg.sender == from.owner) from.ownUnbonding -= it.shares;
        emit Withdrawn(it.node, msg.sender, id, amount);
        token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IRegistry
    function slash(address node, uint16 bps, bytes32 evidence_, address reporter)
        external
        nonReentrant
        onlyKnown(node)
        returns (uint128 amount)
    {
        if (msg.sender != evidence && msg.sender != epochs) revert NotSlasher(msg.sender);
        if (bps > BPS) revert OutOfBounds("bps");
        Node storage it = _node[node];
        amount = uint128(uint256(it.assets).mulDiv(bps, BPS));
        // At most half of what the owner loses itself: who reports itself does not live on what others delegated.
        uint256 own = uint256(_worth(it, _shares[node][it.owner] + it.ownUnbonding)).mulDiv(bps, BPS);
        uint256 share = Math.min(uint256(amount).mulDiv(_parameters.reporterBps, BPS), own / 2);
        uint128 reported = reporter == address(0) ? 0 : uint128(share);
        address rest = _parameters.rest == address(0) ? BURNED : _parameters.rest;
        uint64 until = uint64(Math.max(it.jailedUntil, block.timestamp + _parameters.jailSeconds));
        it.assets -= amount;
        it.jailed = true;
        it.jailedUntil = until;
        emit Slashed(node, evidence_, amount, reporter, reported, amount - reported);
        emit Jailed(node, until);
        _checkpoint(node);
        if (reported != 0) token.safeTransfer(reporter, reported);
        if (amount != reported) token.safeTransfer(rest, amount - reported);
    }

    /// @inheritdoc IRegistry
    function reward(address node, uint128 amount) external nonReentrant onlyKnown(node) {
        Node storage it = _node[node];
        // Who is leaving earns no more; where nobody stays, all is the owner's.
        uint128 commission =
            it.shares == it.unbonding ? amount : uint128(uint256(amount).mulDiv(commissionOf(node), BPS));
        it.assets += amount - commission;
        emit Rewarded(node, amount, commission);
        token.safeTransferFrom(msg.sender, address(this), amount);
        if (commission != 0) token.safeTransfer(it.owner, commission);
    }

    /// @inheritdoc IRegistry
    function unjail(address node) external onlyOwnerOf(node) {
        Node storage it = _node[node];
        if (!it.jailed) revert NotJailed(node);
        if (block.timestamp < it.jailedUntil) revert StillJailed(it.jailedUntil);
        it.jailed = false;
        it.jailedUntil = 0;
        emit Unjailed(node);
        _checkpoint(node);
    }

    /// @inheritdoc IRegistry
    function refresh(address node) external onlyKnown(node) {
        _checkpoint(node);
    }

    // ---------------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IRegistry
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    /// @inheritdoc IRegistry
    function ownerOf(address node) external view returns (address) {
        return _node[node].owner;
    }

    /// @inheritdoc IRegistry
    function keyOf(address node) external view returns (bytes32) {
        return _node[node].x;
    }

    /// @inheritdoc IRegistry
    function compressedKeyOf(address node) external view returns (uint8 prefix, bytes32 x) {
        return (_node[node].prefix, _node[node].x);
    }

    /// @inheritdoc IRegistry
    function rolesOf(address node) external view returns (uint8) {
        return _node[node].roles;
    }

    /// @inheritdoc IRegistry
    function jailedUntil(address node) external view returns (uint64) {
        return _node[node].jailedUntil;
    }

    /// @inheritdoc IRegistry
    function poolOf(address node) external view returns (uint128 assets, uint128 shares, uint128 unbonding) {
        Node storage it = _node[node];
        return (it.assets, it.shares, it.unbonding);
    }

    /// @inheritdoc IRegistry
    function sharesOf(address node, address holder) external view returns (uint128) {
        return _shares[node][holder];
    }

    /// @inheritdoc IRegistry
    function worthOf(address node, address holder) external view returns (uint128) {
        return _worth(_node[node], _shares[node][holder]);
    }

    /// @notice One unbonding: zeros when it was withdrawn.
    function leaving(uint256 id) external view returns (Leaving memory) {
        return _leaving[id];
    }

    /// @inheritdoc IRegistry
    function stakeOf(address node) external view returns (uint128) {
        Node storage it = _node[node];
        return _worth(it, it.shares - it.unbonding);
    }

    /// @inheritdoc IRegistry
    function isActive(address node, uint8 role) external view returns (bool) {
        return _counted(_stakes[node].latest(), _known(role)) != 0;
    }

    /// @inheritdoc IRegistry
    function stakeAt(address node, uint8 role, uint48 blockNumber) external view returns (uint128) {
        return uint128(_counted(_stakes[node].upperLookupRecent(_past(blockNumber)), _known(role)));
    }

    /// @inheritdoc IRegistry
    function totalAt(uint8 role, uint48 blockNumber) external view returns (uint128) {
        return uint128(_totals[_known(role)].upperLookupRecent(_past(blockNumber)));
    }

    /// @inheritdoc IRegistry
    function nodeCount() external view returns (uint256) {
        return _nodes.length;
    }

    /// @inheritdoc IRegistry
    function nodeAt(uint256 index) external view returns (address) {
        return _nodes[index];
    }

    /// @inheritdoc IRegistry
    function commissionOf(address node) public view returns (uint16) {
        Node storage it = _node[node];
        return it.nextFrom != 0 && block.timestamp >= it.nextFrom ? it.nextCommission : it.commission;
    }

    // --------------------------------------------------------------------------------------------------------- private

    /// @dev Keeps what counts now, and the roles' totals with it.
    function _checkpoint(address node) private {
        Node storage it = _node[node];
        uint208 before = _stakes[node].latest();
        uint128 stake = _worth(it, it.shares - it.unbonding);
        uint8 roles = stake == 0 || it.jailed ? 0 : it.roles & _earned(_worth(it, _shares[node][it.owner]));
        uint208 after_ = roles == 0 ? 0 : (uint208(stake) << 8) | roles;
        if (after_ == before) return;
        uint48 here = uint48(block.number);
        _stakes[node].push(here, after_);
        for (uint8 role = PROVIDER; role <= HUB; role <<= 1) {
            uint208 was = _counted(before, role);
            uint208 is_ = _counted(after_, role);
            if (was != is_) _totals[role].push(here, _totals[role].latest() - was + is_);
        }
        emit StakeSet(node, uint128(after_ >> 8), roles);
    }

    /// @dev The roles that an own bond is large enough for.
    function _earned(uint128 own) private view returns (uint8 roles) {
        for (uint8 role = PROVIDER; role <= HUB; role <<= 1) {
            if (own >= minimumBond(role)) roles |= role;
        }
    }

    function _past(uint48 blockNumber) private view returns (uint48) {
        if (blockNumber >= block.number) revert BlockNotPast(blockNumber);
        return blockNumber;
    }

    function _worth(Node storage it, uint128 shares) private view returns (uint128) {
        return shares == 0 ? 0 : uint128(uint256(shares).mulDiv(it.assets, it.shares));
    }

    function _counted(uint208 checkpoint, uint8 role) private pure returns (uint208) {
        return checkpoint & role == 0 ? 0 : checkpoint >> 8;
    }

    function _known(uint8 role) private pure returns (uint8) {
        if (role != PROVIDER && role != VERIFIER && role != SETTLER && role != HUB) revert UnknownRoles(role);
        return role;
    }
}
