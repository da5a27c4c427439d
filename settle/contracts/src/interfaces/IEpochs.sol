// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Epochs: their beacons, their revenue, their roots, and what is paid by proof
/// @notice Revenue is counted in the epoch in which it is collected. After the epoch's end its settlers sign the root of
/// its lines (wire.settlement); in a window anyone may challenge it; then accounts are paid their lines by proof.
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

    /// @notice An epoch began: its beacon, and the block whose end says what stakes count in it.
    event Opened(uint64 indexed epoch, bytes32 beacon, uint48 blockNumber, uint64 openedAt);
    /// @notice A node's till brought this much into the current epoch.
    event Collected(uint64 indexed epoch, address indexed node, uint128 amount);
    /// @notice A quorum's root is in its window.
    event Posted(uint64 indexed epoch, bytes32 indexed root, uint32 count, uint128 total, bytes32 receipts, address[] signers);
    /// @notice The root was shown to be wrong and is cancelled for good.
    event Challenged(uint64 indexed epoch, bytes32 indexed root, string reason, address challenger);
    /// @notice The signers of a cancelled root were slashed.
    event Punished(uint64 indexed epoch, bytes32 indexed root, address challenger, address[] signers);
    /// @notice Somebody asks to see a line.
    event Demanded(uint64 indexed epoch, uint32 indexed index, address challenger);
    /// @notice The demanded line was shown with its receipt.
    event Shown(uint64 indexed epoch, uint32 indexed index);
    /// @notice The root counts. `treasury`: what its lines leave of the pot.
    event Finalised(uint64 indexed epoch, bytes32 root, uint128 total, uint128 treasury);
    /// @notice The settlers of epoch `into` may sign this epoch's root. `amount`: its pot.
    event RolledOver(uint64 indexed epoch, uint64 indexed into, uint128 amount);
    /// @notice Lines of an account were paid; `to` is the registry where others stand behind the node.
    event Paid(uint64 indexed epoch, address indexed account, address indexed to, uint8 role, uint128 amount);
    /// @notice What nobody claimed in time went to the treasury.
    event Swept(uint64 indexed epoch, uint128 amount);

    /// @notice The number of the epoch that it is now.
    function current() external view returns (uint64);
    /// @notice Anyone: records the current epoch's beacon and block, once.
    function open() external returns (uint64);
    /// @notice The till of a node: where its channels pay to. A contract that only this one can empty.
    function tillOf(address node) external view returns (address);
    /// @notice Anyone: settles the till and counts what was in it as the node's revenue in the current epoch.
    function collect(address node) external returns (uint128);
    /// @notice Anyone: the root of an epoch that ended, signed by more than 2/3 of its settlers' stake.
    /// @param count lines in the tree
    /// @param total what they amount to: at most the epoch's pot
    /// @param receipts keccak256 of all receipts' digests in ascending order
    /// @param signers settlers, ascending
    /// @param signatures theirs over EpochRoot(epoch, root, count, total, receipts), in the registry's domain
    function post(
        uint64 epoch,
        bytes32 root,
        uint32 count,
        uint128 total,
        bytes32 receipts,
        address[] calldata signers,
        bytes[] calldata signatures
    ) external;
    /// @notice Anyone: slashes the signers of a root that was cancelled; whoever challenged it has the reporter's part.
    /// @param signers as they stood in `Posted`
    function punish(uint64 epoch, bytes32 root, uint32 count, uint128 total, address[] calldata signers) external;
    /// @notice Anyone, after the window: the root counts; what its lines leave of the pot is the treasury's.
    function finalise(uint64 epoch) external;
    /// @notice Anyone: the root of an epoch that stayed without one for too long may be signed by the current settlers. Its
    /// lines stay what they are.
    function rollover(uint64 epoch) external;
    /// @notice Pays the lines `first` to `last`, which are all of one account and role. Providers', publishers' and
    /// unreceipted lines: the account itself or its owner asks, and the owner is paid (the account where it has none).
    /// Others: anyone asks, and the registry divides it among all who stand behind the node.
    /// @dev The paid lines of one account and role are one stretch, without a gap: each claim lengthens it at an end,
    /// or to one that contains it, of which the rest is paid.
    function claim(uint64 epoch, Line calldata first, bytes32[] calldata firstProof, Line calldata last, bytes32[] calldata lastProof)
        external
        returns (uint128);
    /// @notice Several claims in one transaction. `lines` has the first and the last of each, in turn.
    function claimMany(uint64 epoch, Line[] calldata lines, bytes32[][] calldata proofs) external;
    /// @notice Anyone, long after: what nobody claimed is the treasury's.
    function sweep(uint64 epoch) external;

    /// @notice The block whose end says what stakes and weights count in the epoch: the one before that which opened it.
    function openedBlock(uint64 epoch) external view returns (uint48);
    /// @notice When the epoch was opened, seconds UTC; 0 where nobody did.
    function openedAt(uint64 epoch) external view returns (uint64);
    /// @notice 32 bytes that nobody knew before the epoch's opening.
    function beaconOf(uint64 epoch) external view returns (bytes32);
    /// @notice The epoch that was opened after this one, and the block at which stakes count for its lines: its settlers
    /// and hubs have a share in them, its beacon draws the hubs. Zeros while this one has not ended.
    function closingOf(uint64 epoch) external view returns (uint64 next, uint48 blockNumber);
    /// @notice Whose settlers sign the root, and the block at which their stake counts: the same, unless it was rolled over.
    function settlersOf(uint64 epoch) external view returns (uint64 named, uint48 blockNumber);
    /// @notice What a node's till brought into an epoch.
    function revenueOf(uint64 epoch, address node) external view returns (uint128);
    /// @notice What all tills brought into an epoch.
    function potOf(uint64 epoch) external view returns (uint128);
    /// @notice What was paid of an epoch's lines so far.
    function paidOf(uint64 epoch) external view returns (uint128);
    /// @notice The root that stands; zeros where there is none.
    function rootOf(uint64 epoch) external view returns (bytes32 root, uint32 count, uint128 total, uint64 postedAt, Status status);
    /// @notice The lines of an account and role that are paid: from `first`, below `end`. Both zero: none.
    function stretchOf(uint64 epoch, address account, uint8 role) external view returns (uint32 first, uint32 end);
    /// @notice How long an epoch is.
    function epochSeconds() external view returns (uint64);
    /// @notice How long a root can be challenged.
    function windowSeconds() external view returns (uint64);
}
