// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IEvidence} from "../interfaces/IEvidence.sol";
import {Registry} from "../Registry.sol";

/// @title What a fraud costs, how long an accusation takes, and the bounds of both
/// @notice A fraud is settled where money is at stake, so the rules are bounded and stand in one view.
abstract contract Rulebook is IEvidence, Ownable2Step {
    /// @notice What the owner may set, each within its bounds.
    struct Rules {
        uint16 twoVotesBps; // of all that stands behind the node, what is slashed
        uint16 twoCommitsBps;
        uint16 twoReceiptsBps;
        uint16 twoRootsBps;
        uint16 wrongAnswerBps;
        uint16 minMembers; // a committee of fewer accuses nobody
        uint64 contestSeconds; // in which an accusation may be contested
        uint64 rulingSeconds; // after which a contested one has come to nothing
    }

    /// @notice New rules hold.
    event RulesSet(Rules rules);

    error OutOfBounds(string parameter);

    /// @notice The least that a fraud costs.
    uint16 public constant MIN_SLASH_BPS = 1;
    /// @notice The most: all that stands behind the node.
    uint16 public constant MAX_SLASH_BPS = 10_000;
    /// @notice The most of `minMembers`.
    uint16 public constant MAX_MIN_MEMBERS = 64;
    /// @notice The least and the most of `contestSeconds` and of `rulingSeconds`.
    uint64 public constant MIN_WINDOW = 30 seconds;
    /// @notice See MIN_WINDOW.
    uint64 public constant MAX_WINDOW = 14 days;

    /// @notice Whose nodes are accused, whose domain all signatures are under, and which slashes.
    Registry public immutable registry; // solhint-disable-line immutable-vars-naming

    Rules internal _rules;

    /// @notice The first rules.
    constructor(Registry registry_, Rules memory rules_) {
        registry = registry_;
        _setRules(rules_);
    }

    /// @notice New rules, within their bounds. They hold for what is still open, too.
    function setRules(Rules calldata rules_) external onlyOwner {
        _setRules(rules_);
    }

    /// @notice The rules that hold now.
    function rules() external view returns (Rules memory) {
        return _rules;
    }

    /// @inheritdoc IEvidence
    function windowSeconds() external view returns (uint64) {
        return _rules.contestSeconds + _rules.rulingSeconds;
    }

    function _setRules(Rules memory r) private {
        _bound("twoVotesBps", r.twoVotesBps, MIN_SLASH_BPS, MAX_SLASH_BPS);
        _bound("twoCommitsBps", r.twoCommitsBps, MIN_SLASH_BPS, MAX_SLASH_BPS);
        _bound("twoReceiptsBps", r.twoReceiptsBps, MIN_SLASH_BPS, MAX_SLASH_BPS);
        _bound("twoRootsBps", r.twoRootsBps, MIN_SLASH_BPS, MAX_SLASH_BPS);
        _bound("wrongAnswerBps", r.wrongAnswerBps, MIN_SLASH_BPS, MAX_SLASH_BPS);
        _bound("minMembers", r.minMembers, 1, MAX_MIN_MEMBERS);
        _bound("contestSeconds", r.contestSeconds, MIN_WINDOW, MAX_WINDOW);
        _bound("rulingSeconds", r.rulingSeconds, MIN_WINDOW, MAX_WINDOW);
        // Nobody leaves before an accusation of it has ended.
        if (r.contestSeconds + r.rulingSeconds >= registry.parameters().unbondingSeconds) {
            revert OutOfBounds("contestSeconds + rulingSeconds");
        }
        _rules = r;
        emit RulesSet(r);
    }

    function _bound(string memory name, uint256 value, uint256 least, uint256 most) private pure {
        if (value < least || value > most) revert OutOfBounds(name);
    }
}
