"""The direct loop's process on a FAKE card: see `tests.engine.backends.worker_on_fakes`, whose fakes these are."""

from __future__ import annotations

from unittest.mock import patch

from tests.engine.backends import worker_on_fakes


def main() -> None:
    """Put the fakes in their places, then be the direct loop."""
    from node.benching import direct

    with patch("engine.worker.main", direct.main):
        worker_on_fakes.main()
