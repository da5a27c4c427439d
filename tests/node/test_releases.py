"""Others' releases: what they say is told when most of them say it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.releases import in_words, newer_releases

OURS = "hallmark/0.2.0"


def test_most_run_a_newer_one() -> None:
    found = newer_releases(OURS, ["hallmark/0.3.0"] * 2 + ["hallmark/0.10.0", "hallmark/0.1.0", "js-libp2p/3.0"])
    assert found == {"peers": 3, "of": 4, "release": "0.3.0"}
    assert in_words(found) == "3 of 4 peers run a newer release, 0.3.0 most of them"


def test_a_few_that_say_so_are_no_news() -> None:
    assert newer_releases(OURS, ["hallmark/99.0"]) is None
    assert newer_releases(OURS, ["hallmark/99.0"] * 2 + ["hallmark/0.2.0"] * 2) is None
    assert newer_releases(OURS, []) is None


@given(st.lists(st.text(max_size=40).map(lambda text: f"hallmark/{text}")))
def test_whatever_they_call_themselves(releases: list[str]) -> None:
    newer_releases(OURS, releases)
