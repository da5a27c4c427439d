// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Epochs: their beacons, their revenue, their roots, and what is paid by proof
interface IEpochs {
    enum Status {
        OPEN, // no root yet, or the last one was cancelled
        POSTED, // in its fraud window
        FINAL
    }

    struct Line {
        uint32 index;
        address account;
        uint8 role; // wire.settlement.Share
        bytes32 receipt;
        uint128 amount;
        uint128 sumBefore;
    }

    event Opened(uint64 indexed epoch, bytes32 beacon, uint48 blockNumber, uint64 openedAt);
    event Collected(uint64 indexed epoch, address indexed node, uint128 amount);
    event Posted(uint64 indexed epoch, bytes32 indexed root, uint32 count, uint128 total, bytes32 receipts, address[] signers);
    event Challenged(uint64 indexed epoch, bytes32 indexed root, string reason, address challenger);
    event Demanded(uint64 indexed epoch, uint32 indexed index, address challenger);
    event Shown(uint64 indexed epoch, uint32 indexed index);
    event Finalised(uint64 indexed epoch, bytes32 root, uint128 total, uint128 treasury);
    event RolledOver(uint64 indexed epoch, uint64 indexed into, uint128 amount);
    event Paid(uint64 indexed epoch, address indexed account, address indexed to, uint8 role, uint128 amount);

    function current() external view returns (uint64);
    /// @notice Anyone: records the current epoch's beacon and block, once.
    function open() external returns (uint64);
    /// @notice The till of a node: where its channels pay to. A contract that only this one can empty.
    function tillOf(address node) external view returns (address);
    /// @notice Anyone: settles the till and counts what was in it as the node's revenue in the current epoch.
    function collect(address node) external returns (uint128);
    function post(
        uint64 epoch,
        bytes32 root,
        uint32 count,
        uint128 total,
        bytes32 receipts,
        address[] calldata signers,
        bytes[] calldata signatures
    ) external;
    function finalise(uint64 epoch) external;
    /// @notice The account itself (or a node's owner): pays the lines `first` to `last`, which are all of one account and
    /// role, and none of which was paid before.
    function claim(uint64 epoch, Line calldata first, bytes32[] calldata firstProof, Line calldata last, bytes32[] calldata lastProof)
        external
        returns (uint128);
    function openedBlock(uint64 epoch) external view returns (uint48);
    function beaconOf(uint64 epoch) external view returns (bytes32);
    function revenueOf(uint64 epoch, address node) external view returns (uint128);
    function potOf(uint64 epoch) external view returns (uint128);
    function rootOf(uint64 epoch) external view returns (bytes32 root, uint32 count, uint128 total, uint64 postedAt, Status status);
    function epochSeconds() external view returns (uint64);
    function windowSeconds() external view returns (uint64);
}
