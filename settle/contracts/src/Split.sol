// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IEpochs} from "./interfaces/IEpochs.sol";
import {ISplit} from "./interfaces/ISplit.sol";

/// @title How an answer's price is divided, within bounds that nobody can move
/// @notice Its owner changes the shares; a change begins two epochs later, so that one whole epoch goes by in which all
/// can read it and leave.
contract Split is ISplit, Ownable2Step {
    using Checkpoints for Checkpoints.Trace160;

    error OutOfBounds(string share, uint256 bps, uint256 most);
    error EpochsKnown(address epochs);
    error EpochsUnknown();
    error NoTreasury();

    /// @notice The whole, in basis points.
    uint16 public constant BPS = 10_000;
    /// @notice The bound of `publisherMax`.
    uint16 public constant MAX_PUBLISHER = 5_000;
    /// @notice The bound of `verifiers`.
    uint16 public constant MAX_VERIFIERS = 3_000;
    /// @notice The bound of `hubs`.
    uint16 public constant MAX_HUBS = 2_000;
    /// @notice The bound of `treasury`.
    uint16 public constant MAX_TREASURY = 2_000;
    /// @notice What a provider keeps at least, whatever the royalty.
    uint16 public constant MIN_PROVIDER = 2_000;
    /// @notice Epochs between a change and its beginning.
    uint64 public constant NOTICE = 2;

    /// @inheritdoc ISplit
    address public treasury;
    /// @notice The contract whose epochs these are.
    IEpochs public epochs;

    Checkpoints.Trace160 private _shares; // by first epoch, packed

    /// @notice The first shares, and who may change them.
    /// @param first what holds from epoch 0
    constructor(Shares memory first, address treasury_, address owner_) Ownable(owner_) {
        _setShares(0, first);
        _setTreasury(treasury_);
    }

    /// @notice Once: whose epochs count. Until then no share can change.
    function setEpochs(IEpochs epochs_) external onlyOwner {
        if (address(epochs) != address(0)) revert EpochsKnown(address(epochs));
        epochs = epochs_;
    }

    /// @notice New shares, from the epoch after the next. They take the place of others set in this same epoch.
    function setShares(Shares calldata shares) external onlyOwner returns (uint64 from) {
        if (address(epochs) == address(0)) revert EpochsUnknown();
        from = epochs.current() + NOTICE;
        _setShares(from, shares);
    }

    /// @notice Who has what no line of an epoch takes.
    function setTreasury(address treasury_) external onlyOwner {
        _setTreasury(treasury_);
    }

    /// @notice Every parameter and every bound.
    /// @return epoch the current one
    /// @return now_ its shares
    /// @return next the shares that are set last; the same where no change is coming
    /// @return from the first epoch of `next`
    /// @return treasury_ who has what no line takes
    /// @return most each share's bound. `unreceipted`: what it may be at most beside the other shares of `next`
    /// @return minProvider what a provider keeps at least
    function parameters()
        external
        view
        returns (
            uint64 epoch,
            Shares memory now_,
            Shares memory next,
            uint64 from,
            address treasury_,
            Shares memory most,
            uint16 minProvider
        )
    {
        if (address(epochs) != address(0)) epoch = epochs.current();
        now_ = sharesOf(epoch);
        // slither-disable-next-line unused-return -- the first are there since the constructor
        (, uint96 key, uint160 packed) = _shares.latestCheckpoint();
        (from, next) = (uint64(key), _unpack(packed));
        uint16 kept = BPS - next.publisherMax - next.verifiers - next.hubs - next.treasury;
        most = Shares(MAX_PUBLISHER, MAX_VERIFIERS, MAX_HUBS, MAX_TREASURY, kept);
        (treasury_, minProvider) = (treasury, MIN_PROVIDER);
    }

    /// @inheritdoc ISplit
    function sharesOf(uint64 epoch) public view returns (Shares memory) {
        return _unpack(_shares.upperLookupRecent(epoch));
    }

    function _setTreasury(address treasury_) private {
        if (treasury_ == address(0)) revert NoTreasury();
        treasury = treasury_;
        emit TreasurySet(treasury_);
    }

    function _setShares(uint64 from, Shares memory s) private {
        if (s.publisherMax > MAX_PUBLISHER) revert OutOfBounds("publisherMax", s.publisherMax, MAX_PUBLISHER);
        if (s.verifiers > MAX_VERIFIERS) revert OutOfBounds("verifiers", s.verifiers, MAX_VERIFIERS);
        if (s.hubs > MAX_HUBS) revert OutOfBounds("hubs", s.hubs, MAX_HUBS);
        if (s.treasury > MAX_TREASURY) revert OutOfBounds("treasury", s.treasury, MAX_TREASURY);
        uint256 taken = uint256(s.publisherMax) + s.verifiers + s.hubs + s.treasury;
        if (taken > BPS - MIN_PROVIDER) revert OutOfBounds("all but the provider's", taken, BPS - MIN_PROVIDER);
        // The least that a receipt leaves its provider: so leaving receipts out never pays.
        if (s.unreceipted > BPS - taken) revert OutOfBounds("unreceipted", s.unreceipted, BPS - taken);
        uint160 packed = (uint160(s.publisherMax) << 64) | (uint160(s.verifiers) << 48) | (uint160(s.hubs) << 32)
            | (uint160(s.treasury) << 16) | s.unreceipted;
        // slither-disable-next-line unused-return -- what held before stands in the history
        _shares.push(from, packed);
        emit SharesSet(from, s);
    }

    function _unpack(uint160 p) private pure returns (Shares memory) {
        return Shares(uint16(p >> 64), uint16(p >> 48), uint16(p >> 32), uint16(p >> 16), uint16(p));
    }
}
