"""The simulation: one seed is one run, its double says what a real verifier says, and what breaks a rule is found."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from bench.simulation.committees import __main__ as command
from bench.simulation.committees import trial
from bench.simulation.committees.adversaries import RESERVES, SCENARIOS, Scenario
from bench.simulation.committees.odds import Odds, at_most, binomial_more_than, interval, more_than
from bench.simulation.committees.sweep import Plan, cells, digest, one, run
from bench.simulation.committees.words import DOUBLE, REAL
from bench.simulation.committees.world import World, weight_of
from verify.events import Outcome
from verify.round import Round

WORLD = World(7)
SMALL = Plan((0.3, 0.5), (0.0, 0.3), {4: 60, 8: 10}, {4: 3, 8: 2})


def test_one_seed_is_one_run_to_the_byte_in_however_many_processes() -> None:
    once = run(3, [SMALL], processes=1)
    assert [str(line) for line in run(3, [SMALL], processes=2)] == [str(line) for line in once]
    assert digest(run(4, [SMALL], processes=1)) != digest(once)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=list(SCENARIOS))
def test_the_double_and_real_verifiers_give_the_same_run_event_by_event(scenario: Scenario) -> None:
    for index in range(3):
        seen: list[list[str]] = [[], []]
        results = [
            one(WORLD, scenario, 7, 0.4, index, words, said.append)[:2]
            for words, said in zip((DOUBLE, REAL), seen, strict=True)
        ]
        assert results[0] == results[1]
        assert seen[0] == seen[1]
        assert len(seen[0]) > 10


class _Boastful(Round):
    """Says of every round that it certified."""

    @override
    def finish(self) -> Outcome:
        outcome = super().finish()
        return Outcome("certified", outcome.evidence, None, outcome.ballots, outcome.standings, outcome.reason)


def test_a_rule_that_breaks_ends_the_run_and_its_trial_can_be_seen_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trial, "Round", _Boastful)
    monkeypatch.setattr(command, "QUICK", SMALL)
    monkeypatch.setattr(sys, "argv", ["simulation", "--quick", "--processes", "1", "--seed", "5"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    said = str(ended.value)
    assert "of seed 5" in said
    assert "the round says: certified" in said
    options = said.partition("python -m bench.simulation.committees ")[2]
    seed, name = options.split(" --trial ")
    assert seed == "--seed 5"
    monkeypatch.setattr(sys, "argv", ["simulation", "--seed", "5", "--trial", name.strip("'")])
    with pytest.raises(SystemExit) as again:
        command.main()
    assert str(again.value) == said
    assert "CallMember" in capsys.readouterr().out


def test_the_quick_run_writes_a_page_and_plots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["simulation", "--quick", "--processes", "1", "--out", str(tmp_path)])
    command.main()
    text = (tmp_path / "committees.md").read_text()
    assert "python -m bench.simulation.committees --quick --seed 1" in text
    assert capsys.readouterr().out.split("digest ")[1][:16] in text
    for plot in ("false-certified", "not-certified", "time"):
        assert f"(committees/{plot}.svg)" in text
        ElementTree.parse(tmp_path / "committees" / f"{plot}.svg")


def test_a_share_of_the_stake_is_held_by_the_same_and_more() -> None:
    for stakes in ("equal", "unequal"):
        world = World(2, peers=200, stakes=stakes)
        total = sum(site.weight for site in world.sites)
        for share in (0.0, 0.1, 0.3333, 0.5):
            held = sum(world.sites[i].weight for i in world.adversary(share))
            assert share * total - max(site.weight for site in world.sites) < held <= share * total + 1e-6
    assert WORLD.adversary(0.2) < WORLD.adversary(0.4)


def test_the_draw_gives_an_adversary_what_arithmetic_says() -> None:
    """Whom the product draws for 300 requests: as many of the adversary's as a draw without replacement has."""
    odds, adversary, trials = Odds(WORLD), WORLD.adversary(0.4), 300
    committees = [WORLD.committee(WORLD.request(8, i)) for i in range(trials)]
    carried = sum(committee.carries(weight_of(WORLD, committee, adversary)) for committee in committees)
    low, high = interval(carried, trials)
    assert low <= odds.lie(8, 0.4) <= high
    assert low < high < 0.5


def test_what_the_rule_of_evidence_decides_need_not_be_run() -> None:
    lines = [line for line in run(3, [SMALL], processes=1) if line.scenario == RESERVES.name]
    assert {line.ran for line in lines} == {True, False}
    world = World(3)
    for line in [line for line in lines if not line.ran][::20]:
        assert one(world, RESERVES, line.size, line.share, line.index)[0] != "certified"
    assert sum(cell.trials for cell in cells(lines).values()) == len(lines)


@given(st.integers(1, 7), st.integers(0, 7), st.integers(0, 7), st.integers(-1, 7))
def test_the_tail_counts_every_way_to_draw(of: int, marked: int, drawn: int, bound: int) -> None:
    marked, drawn = min(marked, of), min(drawn, of)
    ways = [sum(i < marked for i in way) for way in combinations(range(of), drawn)]
    assert more_than(bound, of=of, marked=marked, drawn=drawn) == pytest.approx(
        sum(count > bound for count in ways) / len(ways)
    )
    assert at_most(bound, of=of, marked=marked, drawn=drawn) == pytest.approx(
        sum(count <= bound for count in ways) / len(ways)
    )


def test_of_an_endless_population_the_tail_is_binomial() -> None:
    exact = more_than(10, of=1_000_000, marked=300_000, drawn=20)
    assert exact == pytest.approx(binomial_more_than(10, share=0.3, drawn=20), rel=1e-3)


@given(st.integers(1, 500), st.data())
def test_an_interval_holds_what_was_counted(trials: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, trials))
    low, high = interval(hits, trials)
    assert 0 <= low <= hits / trials <= high <= 1
    assert low < high


def test_the_interval_is_wilsons() -> None:
    assert interval(0, 10) == (0.0, pytest.approx(0.2775, abs=1e-4))
    assert interval(5, 10) == (pytest.approx(0.2366, abs=1e-4), pytest.approx(0.7634, abs=1e-4))
