// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {IChannels} from "./interfaces/IChannels.sol";

/// @title Channels of deposits that cumulative vouchers draw on
/// @notice It has no owner, no parameter and no fee. Of every token it holds what the payers may still get back and what
/// was claimed and not settled, summed over all channels.
/// @dev A channel's state lies under its id, which binds all of its config; so a config that is given with a call is right
/// when there is something under its id, and tokens of one kind are never reached through channels of another.
contract Channels is IChannels, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using SafeCast for uint256;

    struct Channel {
        uint128 balance;
        uint128 totalClaimed;
    }

    struct Withdrawal {
        uint128 amount;
        uint40 initiatedAt;
    }

    struct Receiver {
        uint128 totalClaimed;
        uint128 totalSettled;
    }

    /// @notice The shortest delay of a channel, in seconds: the receiver's time to claim.
    uint40 public constant MIN_WITHDRAW_DELAY = 15 minutes;
    /// @notice The longest, so that no deposit is out of reach for longer.
    uint40 public constant MAX_WITHDRAW_DELAY = 30 days;
    /// @notice The most vouchers in one call.
    uint256 public constant MAX_CLAIMS = 100;

    bytes32 private constant CHANNEL_CONFIG = keccak256(
        "ChannelConfig(address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)"
    );
    bytes32 private constant VOUCHER = keccak256("Voucher(bytes32 channelId,uint128 maxClaimableAmount)");
    bytes32 private constant REFUND = keccak256("Refund(bytes32 channelId,uint256 nonce,uint128 amount)");
    bytes32 private constant CLAIM_ENTRY =
        keccak256("ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)");
    bytes32 private constant CLAIM_BATCH = keccak256(
        "ClaimBatch(ClaimEntry[] claims)ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)"
    );

    /// @inheritdoc IChannels
    mapping(bytes32 channelId => Channel) public channels;
    /// @inheritdoc IChannels
    mapping(bytes32 channelId => Withdrawal) public pendingWithdrawals;
    /// @inheritdoc IChannels
    mapping(address receiver => mapping(address token => Receiver)) public receivers;
    /// @inheritdoc IChannels
    mapping(bytes32 channelId => uint256) public refundNonce;

    constructor() EIP712("x402 Batch Settlement", "1") {}

    /// @inheritdoc IChannels
    function deposit(ChannelConfig calldata config, uint128 amount) external nonReentrant {
        _deposit(config, amount);
    }

    /// @inheritdoc IChannels
    /// @dev A permit says nothing of a channel, so only its signer may bring it: anyone else could send the tokens to a
    /// channel of their own making. Whether it was used already does not matter, the allowance does.
    function depositWithPermit(ChannelConfig calldata config, uint128 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
    {
        // solhint-disable-next-line no-empty-blocks
        try IERC20Permit(config.token).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        _deposit(config, amount);
    }

    /// @inheritdoc IChannels
    function claim(VoucherClaim[] calldata claims) external nonReentrant {
        bytes32[] memory ids = _ids(claims);
        for (uint256 i = 0; i < ids.length; ++i) {
            ChannelConfig calldata config = claims[i].voucher.channel;
            if (!_isReceiver(config)) revert NotReceiver(ids[i]);
            _claim(claims[i], ids[i]);
        }
    }

    /// @inheritdoc IChannels
    function claimWithSignature(VoucherClaim[] calldata claims, bytes calldata authorizerSignature) external nonReentrant {
        bytes32[] memory ids = _ids(claims);
        address authorizer = claims[0].voucher.channel.receiverAuthorizer;
        _checkAuthorized(authorizer, _batchDigest(claims, ids), authorizerSignature);
        for (uint256 i = 0; i < ids.length; ++i) {
            if (claims[i].voucher.channel.receiverAuthorizer != authorizer) revert NotReceiver(ids[i]);
            _claim(claims[i], ids[i]);
        }
    }

    /// @inheritdoc IChannels
    function settle(address receiver, address token) external nonReentrant {
        Receiver storage state = receivers[receiver][token];
        uint128 amount = state.totalClaimed - state.totalSettled;
        if (amount == 0) return;
        state.totalSettled = state.totalClaimed;
        emit Settled(receiver, token, msg.sender, amount);
        IERC20(token).safeTransfer(receiver, amount);
    }

    /// @inheritdoc IChannels
    /// @dev The scheme's own contract lets the payer's authorizer ask too. Here it may not: one withdrawal is pending at a
    /// time, and a lost node key that asks for one unit again and again would keep the payer from asking for the rest.
    function initiateWithdraw(ChannelConfig calldata config, uint128 amount) external nonReentrant {
        bytes32 id = getChannelId(config);
        if (msg.sender != config.payer) revert NotPayer(id);
        Withdrawal storage pending = pendingWithdrawals[id];
        if (pending.initiatedAt != 0) revert WithdrawPending(id);
        uint128 asked = _atMostWhatIsLeft(id, amount);
        pending.amount = asked;
        pending.initiatedAt = block.timestamp.toUint40();
        emit WithdrawInitiated(id, asked, pending.initiatedAt);
    }

    /// @inheritdoc IChannels
    function finalizeWithdraw(ChannelConfig calldata config) external nonReentrant {
        bytes32 id = getChannelId(config);
        if (msg.sender != config.payer) revert NotPayer(id);
        Withdrawal memory pending = pendingWithdrawals[id];
        if (pending.initiatedAt == 0) revert NoWithdrawPending(id);
        uint256 until = uint256(pending.initiatedAt) + config.withdrawDelay;
        if (block.timestamp < until) revert TooEarly(id, until);
        delete pendingWithdrawals[id];
        Channel storage channel = channels[id];
        uint128 amount = uint128(Math.min(pending.amount, channel.balance - channel.totalClaimed));
        emit Withdrawn(id, config.payer, amount);
        _giveBack(config, channel, amount);
    }

    /// @inheritdoc IChannels
    function refund(ChannelConfig calldata config, uint128 amount) external nonReentrant {
        bytes32 id = getChannelId(config);
        if (!_isReceiver(config)) revert NotReceiver(id);
        _refund(config, id, amount);
    }

    /// @inheritdoc IChannels
    function refundWithSignature(ChannelConfig calldata config, uint128 amount, uint256 nonce, bytes calldata signature)
        external
        nonReentrant
    {
        bytes32 id = getChannelId(config);
        if (nonce != refundNonce[id]) revert BadNonce(id, refundNonce[id]);
        _checkAuthorized(config.receiverAuthorizer, getRefundDigest(id, nonce, amount), signature);
        _refund(config, id, amount);
    }

    /// @inheritdoc IChannels
    function getClaimBatchDigest(VoucherClaim[] calldata claims) external view returns (bytes32) {
        return _batchDigest(claims, _ids(claims));
    }

    /// @inheritdoc IChannels
    function getChannelId(ChannelConfig calldata config) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(CHANNEL_CONFIG, config)));
    }

    /// @inheritdoc IChannels
    function getVoucherDigest(bytes32 channelId, uint128 maxClaimableAmount) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(VOUCHER, channelId, maxClaimableAmount)));
    }

    /// @inheritdoc IChannels
    function getRefundDigest(bytes32 channelId, uint256 nonce, uint128 amount) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(REFUND, channelId, nonce, amount)));
    }

    function _deposit(ChannelConfig calldata config, uint128 amount) private {
        if (
            config.payer == address(0) || config.receiver == address(0) || config.receiver == address(this)
                || config.receiverAuthorizer == address(0) || config.token == address(0)
        ) revert BadChannel();
        if (config.withdrawDelay < MIN_WITHDRAW_DELAY || config.withdrawDelay > MAX_WITHDRAW_DELAY) {
            revert BadWithdrawDelay(config.withdrawDelay);
        }
        if (amount == 0) revert NoAmount();
        bytes32 id = getChannelId(config);
        channels[id].balance += amount;
        emit Deposited(id, config.payer, config.receiver, amount);
        IERC20 token = IERC20(config.token);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert BadTransfer(config.token, amount, received);
    }

    /// @dev A claim that adds nothing is passed over, its signature unread: it may have been sent twice, or a later one may
    /// have come first, and neither is a reason to undo ninety-nine others.
    function _claim(VoucherClaim calldata entry, bytes32 id) private {
        Channel storage channel = channels[id];
        uint128 total = entry.totalClaimed;
        uint128 before = channel.totalClaimed;
        if (total <= before) return;
        uint128 most = entry.voucher.maxClaimableAmount;
        if (total > most) revert AboveVoucher(id, total, most);
        if (total > channel.balance) revert AboveBalance(id, total, channel.balance);
        ChannelConfig calldata config = entry.voucher.channel;
        if (!_signedByPayer(config, getVoucherDigest(id, most), entry.signature)) revert BadVoucher(id);
        channel.totalClaimed = total;
        receivers[config.receiver][config.token].totalClaimed += total - before;
        emit Claimed(id, config.receiver, total - before, total);
    }

    /// @dev A withdrawal that is pending is served first by what is given back.
    function _refund(ChannelConfig calldata config, bytes32 id, uint128 amount) private {
        uint128 given = _atMostWhatIsLeft(id, amount);
        ++refundNonce[id];
        Withdrawal storage pending = pendingWithdrawals[id];
        if (given < pending.amount) pending.amount -= given;
        else delete pendingWithdrawals[id];
        emit Refunded(id, config.payer, given);
        _giveBack(config, channels[id], given);
    }

    function _giveBack(ChannelConfig calldata config, Channel storage channel, uint128 amount) private {
        if (amount == 0) return;
        channel.balance -= amount;
        IERC20(config.token).safeTransfer(config.payer, amount);
    }

    function _atMostWhatIsLeft(bytes32 id, uint128 amount) private view returns (uint128) {
        if (amount == 0) revert NoAmount();
        Channel memory channel = channels[id];
        uint128 left = channel.balance - channel.totalClaimed;
        if (left == 0) revert NothingLeft(id);
        return amount < left ? amount : left;
    }

    function _ids(VoucherClaim[] calldata claims) private view returns (bytes32[] memory ids) {
        if (claims.length == 0 || claims.length > MAX_CLAIMS) revert BadBatch(claims.length);
        ids = new bytes32[](claims.length);
        for (uint256 i = 0; i < claims.length; ++i) ids[i] = getChannelId(claims[i].voucher.channel);
    }

    function _batchDigest(VoucherClaim[] calldata claims, bytes32[] memory ids) private view returns (bytes32) {
        bytes32[] memory entries = new bytes32[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            entries[i] = keccak256(
                abi.encode(CLAIM_ENTRY, ids[i], claims[i].voucher.maxClaimableAmount, claims[i].totalClaimed)
            );
        }
        return _hashTypedDataV4(keccak256(abi.encode(CLAIM_BATCH, keccak256(abi.encodePacked(entries)))));
    }

    function _isReceiver(ChannelConfig calldata config) private view returns (bool) {
        return msg.sender == config.receiverAuthorizer || msg.sender == config.receiver;
    }

    function _checkAuthorized(address authorizer, bytes32 digest, bytes calldata signature) private view {
        if (!SignatureChecker.isValidSignatureNowCalldata(authorizer, digest, signature)) revert BadAuthorization();
    }

    /// @dev An authorizer is a key, also where code stands at its address (EIP-7702). A payer may be a contract.
    function _signedByPayer(ChannelConfig calldata config, bytes32 digest, bytes calldata signature)
        private
        view
        returns (bool)
    {
        if (config.payerAuthorizer == address(0)) {
            return SignatureChecker.isValidSignatureNowCalldata(config.payer, digest, signature);
        }
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        return failure == ECDSA.RecoverError.NoError && signer == config.payerAuthorizer;
    }
}
