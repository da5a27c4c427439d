// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Where the channels of one provider pay to
/// @notice Only the contract that made it can empty it, and only into itself. So every payment passes the split. Each
/// provider's till is a minimal clone of this one (ERC-1167), at an address that is known before it is there.
contract Till {
    using SafeERC20 for IERC20;

    error NotEpochs(address caller);

    /// @notice The contract that made it.
    address public immutable epochs = msg.sender; // solhint-disable-line immutable-vars-naming

    /// @notice Hands over everything it holds.
    function empty(IERC20 token) external returns (uint256 amount) {
        if (msg.sender != epochs) revert NotEpochs(msg.sender);
        amount = token.balanceOf(address(this));
        if (amount != 0) token.safeTransfer(msg.sender, amount);
    }
}
