// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";

/// @title The network's token: 1,000,000,000, all of them made here and none ever after
/// @notice An ERC-20 with 18 decimals, permits (EIP-2612) and delegated votes (ERC-5805). Nobody owns it; there is no
/// mint, no pause and no list. Whoever wants to vote with its tokens delegates, to itself too.
contract HallmarkToken is ERC20, ERC20Permit, ERC20Votes {
    /// @notice All there ever are, in the smallest unit.
    uint256 public constant SUPPLY = 1_000_000_000 ether;

    /// @notice Makes all of them.
    /// @param name_ also the name in the EIP-712 domain that permits and delegations are signed for
    /// @param holder who has all of them at first
    constructor(string memory name_, string memory symbol_, address holder) ERC20(name_, symbol_) ERC20Permit(name_) {
        _mint(holder, SUPPLY);
    }

    /// @dev Votes follow the tokens.
    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }

    /// @inheritdoc ERC20Permit
    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }
}
