// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IEvidence} from "../interfaces/IEvidence.sol";

/// @title The registry's parameters and their bounds, and the contracts that may slash
/// @notice The owner sets them within bounds that nobody can change. It never touches what stands behind a node.
abstract contract Settings is Ownable2Step {
    /// @notice What the owner may set, each within its bounds.
    struct Parameters {
        uint64 unbondingSeconds; // between `unbond` and `withdraw`
        uint64 jailSeconds; // after a slash
        uint16 reporterBps; // of what is slashed, the reporter's part
        address rest; // who has the rest of it; zero: it is burned
        uint128 providerBond; // the owner's own bond that each role needs
        uint128 verifierBond;
        uint128 settlerBond;
        uint128 hubBond;
    }

    /// @notice New parameters hold.
    event ParametersSet(Parameters parameters);
    /// @notice These contracts may slash, from now on and for ever.
    event SlashersSet(address indexed evidence, address indexed epochs);

    error OutOfBounds(string parameter);
    error SlashersAlreadySet();
    error UnknownRoles(uint8 roles);

    /// @notice The bit of who answers.
    uint8 public constant PROVIDER = 1;
    /// @notice The bit of who judges answers.
    uint8 public constant VERIFIER = 2;
    /// @notice The bit of who signs epochs' roots.
    uint8 public constant SETTLER = 4;
    /// @notice The bit of who keeps models for others.
    uint8 public constant HUB = 8;
    /// @notice The whole, in basis points.
    uint16 public constant BPS = 10_000;
    /// @notice The most that an owner takes of a reward before the others.
    uint16 public constant MAX_COMMISSION_BPS = 5_000;
    /// @notice The most of a slash that its reporter has. Who reports itself loses by it.
    uint16 public constant MAX_REPORTER_BPS = 5_000;
    /// @notice The least and the most of `unbondingSeconds`.
    uint64 public constant MIN_UNBONDING = 10 minutes;
    /// @notice See MIN_UNBONDING.
    uint64 public constant MAX_UNBONDING = 60 days;
    /// @notice The most of `jailSeconds`.
    uint64 public constant MAX_JAIL = 90 days;
    /// @notice The least bond, in units of the token; also the fewest shares that one may buy.
    uint128 public constant MIN_BOND = 1_000_000;
    /// @notice The most that a role may ask for: a hundredth of all tokens.
    uint128 public constant MAX_BOND = 10_000_000 ether;
    /// @notice Where burned tokens go: nobody has its key.
    address public constant BURNED = 0x000000000000000000000000000000000000dEaD;

    uint8 internal constant ALL_ROLES = PROVIDER | VERIFIER | SETTLER | HUB;

    /// @notice The contracts that may slash: this one for what nodes said, `epochs` for roots they signed. Set once.
    address public evidence;
    /// @notice See `evidence`.
    address public epochs;

    Parameters internal _parameters;

    /// @notice The contracts that may slash, once and for all.
    function setSlashers(address evidence_, address epochs_) external onlyOwner {
        if (evidence != address(0)) revert SlashersAlreadySet();
        if (evidence_ == address(0) || epochs_ == address(0)) revert OutOfBounds("slasher");
        evidence = evidence_;
        epochs = epochs_;
        emit SlashersSet(evidence_, epochs_);
    }

    /// @notice New parameters, within their bounds. Stakes follow them at each node's next change, or `refresh`.
    function setParameters(Parameters calldata parameters_) external onlyOwner {
        _requireOutlasts(parameters_.unbondingSeconds, evidence);
        _requireOutlasts(parameters_.unbondingSeconds, epochs);
        _setParameters(parameters_);
    }

    /// @notice The parameters that hold now.
    function parameters() external view returns (Parameters memory) {
        return _parameters;
    }

    /// @notice The owner's own bond that a role needs.
    function minimumBond(uint8 role) public view returns (uint128) {
        if (role == PROVIDER) return _parameters.providerBond;
        if (role == VERIFIER) return _parameters.verifierBond;
        if (role == SETTLER) return _parameters.settlerBond;
        if (role == HUB) return _parameters.hubBond;
        revert UnknownRoles(role);
    }

    function _setParameters(Parameters memory p) internal {
        if (p.unbondingSeconds < MIN_UNBONDING || p.unbondingSeconds > MAX_UNBONDING) {
            revert OutOfBounds("unbondingSeconds");
        }
        if (p.jailSeconds > MAX_JAIL) revert OutOfBounds("jailSeconds");
        if (p.reporterBps > MAX_REPORTER_BPS) revert OutOfBounds("reporterBps");
        if (p.providerBond < MIN_BOND || p.providerBond > MAX_BOND) revert OutOfBounds("providerBond");
        if (p.verifierBond < MIN_BOND || p.verifierBond > MAX_BOND) revert OutOfBounds("verifierBond");
        if (p.settlerBond < MIN_BOND || p.settlerBond > MAX_BOND) revert OutOfBounds("settlerBond");
        if (p.hubBond < MIN_BOND || p.hubBond > MAX_BOND) revert OutOfBounds("hubBond");
        _parameters = p;
        emit ParametersSet(p);
    }

    /// @dev Unbonding takes longer than a slasher's window, so that nobody leaves within it.
    function _requireOutlasts(uint64 unbondingSeconds, address slasher) private view {
        if (slasher.code.length != 0 && unbondingSeconds <= IEvidence(slasher).windowSeconds()) {
            revert OutOfBounds("unbondingSeconds");
        }
    }
}
