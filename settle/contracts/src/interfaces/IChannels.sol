// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Channels of deposits that cumulative vouchers draw on
/// @notice The scheme is x402's `batch-settlement`: same struct types, same EIP-712 domain ("x402 Batch Settlement", "1").
/// A payer deposits once. Its authorizer signs vouchers, each naming the most that the receiver may claim from the channel
/// over its whole life. The receiver's side claims when it pays to, a hundred channels at a time, and what it claimed is
/// sent on by `settle`. What is not claimed goes back to the payer: at once when the receiver's side agrees, otherwise
/// after the channel's delay.
interface IChannels {
    /// @notice A channel, for ever. Its id is the EIP-712 digest of this struct.
    /// @dev `payerAuthorizer` signs vouchers; zero: the payer itself does, who then may be a contract (ERC-1271).
    struct ChannelConfig {
        address payer;
        address payerAuthorizer;
        address receiver;
        address receiverAuthorizer;
        address token;
        uint40 withdrawDelay;
        bytes32 salt;
    }

    struct Voucher {
        ChannelConfig channel;
        uint128 maxClaimableAmount;
    }

    /// @dev `totalClaimed`: what the receiver's side takes of it, all earlier claims counted in.
    struct VoucherClaim {
        Voucher voucher;
        bytes signature;
        uint128 totalClaimed;
    }

    /// @notice `amount` came into the channel.
    event Deposited(bytes32 indexed channelId, address indexed payer, address indexed receiver, uint128 amount);
    /// @notice The receiver was credited with `amount` more, `totalClaimed` in all.
    event Claimed(bytes32 indexed channelId, address indexed receiver, uint128 amount, uint128 totalClaimed);
    /// @notice What the receiver was credited with was sent to it.
    event Settled(address indexed receiver, address indexed token, address indexed sender, uint128 amount);
    /// @notice The payer asked for `amount`; the receiver has until `initiatedAt` and the channel's delay to claim.
    event WithdrawInitiated(bytes32 indexed channelId, uint128 amount, uint40 initiatedAt);
    /// @notice The payer got `amount`, which is less than it asked for where claims came first.
    event Withdrawn(bytes32 indexed channelId, address indexed payer, uint128 amount);
    /// @notice The receiver's side gave `amount` back to the payer.
    event Refunded(bytes32 indexed channelId, address indexed payer, uint128 amount);

    /// @notice A payer, receiver, receiver's authorizer or token is missing, or the receiver is this contract.
    error BadChannel();
    /// @notice The channel's delay is not within 15 minutes and 30 days.
    error BadWithdrawDelay(uint40 withdrawDelay);
    error NoAmount();
    /// @notice The token kept something back or added to it; the sums here would not hold.
    error BadTransfer(address token, uint256 expected, uint256 received);
    /// @notice No claims, or more than fit in a call.
    error BadBatch(uint256 count);
    error NotReceiver(bytes32 channelId);
    error NotPayer(bytes32 channelId);
    /// @notice The voucher's signature is not of the channel's payer authorizer (or payer).
    error BadVoucher(bytes32 channelId);
    /// @notice The signature over the batch or the refund is not of the channel's receiver authorizer.
    error BadAuthorization();
    error AboveVoucher(bytes32 channelId, uint128 totalClaimed, uint128 maxClaimableAmount);
    error AboveBalance(bytes32 channelId, uint128 totalClaimed, uint128 balance);
    error NothingLeft(bytes32 channelId);
    error WithdrawPending(bytes32 channelId);
    error NoWithdrawPending(bytes32 channelId);
    error TooEarly(bytes32 channelId, uint256 until);
    error BadNonce(bytes32 channelId, uint256 expected);

    /// @notice Puts `amount` of the caller's tokens into a channel, which is opened by its first deposit. Anyone may add to
    /// anyone's channel; what is left belongs to the payer.
    function deposit(ChannelConfig calldata config, uint128 amount) external;
    /// @notice `deposit` with the caller's EIP-2612 permit in place of an approval. A permit that somebody used before is
    /// no obstacle.
    function depositWithPermit(ChannelConfig calldata config, uint128 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external;
    /// @notice Counts vouchers, 100 at most, of channels whose receiver or receiver's authorizer is the caller. One that
    /// is not above what was claimed before changes nothing; one that is wrong undoes all of them.
    function claim(VoucherClaim[] calldata claims) external;
    /// @notice Anyone, with a signature over the batch by the receiver's authorizer, which is the same in all of them.
    function claimWithSignature(VoucherClaim[] calldata claims, bytes calldata authorizerSignature) external;
    /// @notice Anyone: sends a receiver what was claimed for it and not sent yet. Nothing to send is no error.
    function settle(address receiver, address token) external;
    /// @notice The payer asks for up to `amount` of what is not claimed. The receiver has the channel's delay to claim.
    function initiateWithdraw(ChannelConfig calldata config, uint128 amount) external;
    /// @notice The payer, when the delay is over: it gets what it asked for, or what claims left of it.
    function finalizeWithdraw(ChannelConfig calldata config) external;
    /// @notice The receiver's side gives back up to `amount` of what is not claimed, at once.
    function refund(ChannelConfig calldata config, uint128 amount) external;
    /// @notice Anyone, with the receiver's authorizer's signature over the refund. `nonce` is the channel's `refundNonce`.
    function refundWithSignature(ChannelConfig calldata config, uint128 amount, uint256 nonce, bytes calldata signature)
        external;
    /// @notice The channel's name on this chain and in this contract: the EIP-712 digest of its config.
    function getChannelId(ChannelConfig calldata config) external view returns (bytes32);
    /// @notice What a payer's authorizer signs.
    function getVoucherDigest(bytes32 channelId, uint128 maxClaimableAmount) external view returns (bytes32);
    /// @notice What a receiver's authorizer signs for `refundWithSignature`.
    function getRefundDigest(bytes32 channelId, uint256 nonce, uint128 amount) external view returns (bytes32);
    /// @notice What a receiver's authorizer signs for `claimWithSignature`.
    function getClaimBatchDigest(VoucherClaim[] calldata claims) external view returns (bytes32);
    /// @notice A channel's sums; zeros where nothing was ever deposited.
    /// @return balance all that was deposited less what went back to the payer; what was claimed is still counted in it
    /// @return totalClaimed what the receiver was credited with, never more than `balance`
    function channels(bytes32 channelId) external view returns (uint128 balance, uint128 totalClaimed);
    /// @notice What a payer waits for.
    /// @return amount what the payer asked for
    /// @return initiatedAt when, in seconds; zero: no withdrawal is pending
    function pendingWithdrawals(bytes32 channelId) external view returns (uint128 amount, uint40 initiatedAt);
    /// @notice What a receiver was credited with in a token, and what of it was sent.
    function receivers(address receiver, address token) external view returns (uint128 totalClaimed, uint128 totalSettled);
    /// @notice How many refunds a channel had. A signed refund holds for one count only.
    function refundNonce(bytes32 channelId) external view returns (uint256);
}
