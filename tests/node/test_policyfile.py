"""policy.toml: closed to what it does not know, strict where it says nothing, and never half read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import pytest

from node.cli.tier import TierParam
from node.datadir import DataDir
from node.errors import CommandError, Exit
from node.policyfile import load_policy, read_policy, show_policy
from tests.node.commands import Hallmark
from verify.policy import Policy, QuorumPolicy
from wire.bounds import MAX_COMMITTEE

CHANGED = replace(Policy(), tiers=("quorum", "tee+quorum"), quorum=QuorumPolicy(committee=8, weight=5, tolerance=0.0))


@pytest.mark.parametrize("policy", [Policy(), CHANGED])
def test_what_is_shown_is_a_policy_file(policy: Policy) -> None:
    assert read_policy(show_policy(policy)) == policy


def test_what_is_not_said_stays_strict() -> None:
    assert read_policy("[quorum]\ncommittee = 8") == replace(Policy(), quorum=QuorumPolicy(committee=8))
    assert read_policy("") == Policy()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("tires = []", "tires"),
        ("[quorum]\ncomittee = 4", "quorum.comittee"),
        ("quorum = 4", "quorum"),
        ('tiers = ["quorums"]', "quorums"),
        ("[quorum]\ncommittee = -1", "committee"),
        (f"[quorum]\ncommittee = {MAX_COMMITTEE + 1}", "committee"),
        ("[quorum]\ntolerance = 1.5", "tolerance"),
        ('[sampled]\nprobability = "often"', "probability"),
        ("tiers = [", "policy.toml"),
        ("x" * 10 + " = " + "[" * 20_000, "policy.toml"),
    ],
)
def test_a_wrong_entry_is_named_and_stops_everything(text: str, named: str, tmp_path: Path) -> None:
    directory = DataDir(tmp_path)
    directory.policy.write_text(text)
    with pytest.raises(CommandError, match=named.replace(".", r"\.")) as failure:
        load_policy(directory)
    assert failure.value.exit_code is Exit.CONFIG


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    assert load_policy(DataDir(tmp_path)) == Policy()
    with pytest.raises(CommandError, match="no policy file"):
        load_policy(DataDir(tmp_path), str(tmp_path / "mine.toml"))


def test_the_command_shows_the_stored_rules(hallmark: Hallmark, home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "policy.toml").write_text("[quorum]\ncommittee = 7")
    ran = hallmark("policy", "show")
    assert (ran.code, read_policy(ran.out).quorum.committee) == (0, 7)
    (told,) = hallmark("policy", "show", "--json").lines
    assert (told["stored"], told["rules"]["quorum"]["committee"]) == (True, 7)


class TestTier:
    @pytest.mark.parametrize(
        ("text", "means"),
        [("signed", ("signed", 0)), ("quorum:8", ("quorum", 8)), ("tee+quorum:256", ("tee+quorum", 256))],
    )
    def test_a_tier_and_the_size_of_its_committee(self, text: str, means: tuple[str, int]) -> None:
        assert TierParam().convert(text, None, None) == means

    @pytest.mark.parametrize("text", ["", "zkp", "quorum:", "quorum:0", "quorum:257", "quorum:x", "quorum:-1", "tee:4"])
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(click.BadParameter):
            TierParam().convert(text, None, None)
