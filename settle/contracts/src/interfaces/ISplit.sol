// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title How an answer's price is divided
/// @notice In basis points. The provider has what no other share takes: 10,000 − royalty − verifiers − hubs − treasury.
interface ISplit {
    struct Shares {
        uint16 publisherMax; // the most a manifest's royalty counts
        uint16 verifiers;
        uint16 hubs;
        uint16 treasury;
        uint16 unreceipted; // of revenue that no receipt explains, the provider's part; the rest is the treasury's
    }

    /// @notice From this epoch on these shares hold.
    event SharesSet(uint64 indexed fromEpoch, Shares shares);
    /// @notice Who has the treasury's share from now on.
    event TreasurySet(address treasury);

    /// @notice The shares that hold in an epoch. Changes are bounded and begin with an epoch that is still to come.
    function sharesOf(uint64 epoch) external view returns (Shares memory);
    /// @notice Who has what no line of an epoch takes.
    function treasury() external view returns (address);
}
