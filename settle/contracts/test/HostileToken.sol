// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A token for tests that does what tokens should not
/// @notice Anyone mints. In every transfer it may call whom it was told to, and it may keep a part of the amount.
contract HostileToken is ERC20 {
    uint256 private _keeps;
    address private _target;
    bytes private _data;

    /// @notice The call from within a transfer: whether it went through, and what it returned.
    event Called(bool ok, bytes returned);

    constructor() ERC20("Hostile", "HOS") {}

    /// @notice Makes tokens from nothing.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @notice Takes tokens away from whoever has them.
    function take(address from, uint256 amount) external {
        _burn(from, amount);
    }

    /// @notice Of every transfer from now on, this much is lost on the way.
    function keep(uint256 amount) external {
        _keeps = amount;
    }

    /// @notice In the next transfer, this is called first.
    function arm(address target, bytes calldata data) external {
        _target = target;
        _data = data;
    }

    function _update(address from, address to, uint256 value) internal override {
        address target = _target;
        if (target != address(0)) {
            _target = address(0);
            // solhint-disable-next-line avoid-low-level-calls
            (bool ok, bytes memory returned) = target.call(_data);
            emit Called(ok, returned);
        }
        super._update(from, to, value);
        if (from != address(0) && to != address(0) && _keeps != 0) super._update(to, address(0), _keeps);
    }
}
