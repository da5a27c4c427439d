"""`--tier`: a tier by its name, and for a quorum how many members it shall have: `quorum:8`, `tee+quorum:8`."""

from __future__ import annotations

from typing import Any, cast

import click
from typing_extensions import override

from wire.bounds import MAX_COMMITTEE
from wire.tier import TIERS, Tier, rungs_of


class TierParam(click.ParamType[tuple[Tier, int]]):
    """What `--tier` means: the tier and the size of its committee, 0 where none was said."""

    name = "tier"

    @override
    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "TIER"

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Tier, int]:
        if isinstance(value, tuple):
            return cast("tuple[Tier, int]", value)
        name, colon, size = str(value).partition(":")
        if name not in TIERS:
            self.fail(f"there is no tier {name!r}; there are {', '.join(TIERS)}", param, ctx)
        tier: Tier = name
        if not colon:
            return tier, 0
        if "quorum" not in rungs_of(tier):
            self.fail(f"tier {tier} has no committee whose size could be said", param, ctx)
        if not size.isdecimal() or not 1 <= int(size) <= MAX_COMMITTEE:
            self.fail(f"a committee has 1 to {MAX_COMMITTEE} members, not {size!r}", param, ctx)
        return tier, int(size)
