"""docs/conformance.md: how many of the `onnx` package's cases pass through a peer, and why the others are not asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]  # name, obstacle; `alone` where ONNX Runtime fails by itself, else `why` and `example`

_HEAD = """# Conformance

The `onnx` package brings its own test cases: a model, inputs, and the outputs that a runtime must give. Each one that
ONNX Runtime passes when it is called directly is asked of a peer: published with `model add`, loaded in a worker by a
provider in a process of its own, offered, asked by a client in tier `signed`, its receipt checked offline, its outputs
compared with the case's within the case's own tolerances. `make conformance` does all of it and writes this file
(`python -m tests.conformance --resume` after a break); a sample runs in `make test`.

onnx {onnx}, onnxruntime {onnxruntime} on the CPU.
"""
_BARRED = """
A request and an answer hold tensors of the Open Inference Protocol's datatypes, and nothing else. A model with other
values is refused by `model add` with a sentence that names them; that is checked for each one that ONNX Runtime passes
(numbers below a byte were not handed to it).
"""
_EXAMPLES = """
A model is offered only by a peer that has run it once. Most run on zeros or ones. One whose output's shape depends on
an input's values (a shape, axes, a count) may not, and is published with an example: `model add --example NAME=VALUE`.
"""
_OBSTACLES = {
    "sequence": "sequences of tensors",
    "optional": "optionals, which may hold no tensor",
    "map": "maps",
    "no inputs": "no inputs: a model that always says the same needs no peer to say it",
}
_ALONE = {
    "cannot load": "it has no such operator, type or version on the CPU",
    "fails": "it fails at run time",
    "other outputs": "its outputs are not within the case's tolerances, most for rounding or random draws",
    "ends the process": "it ends the process",
}


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write the file; `rows` are those of all cases."""
    barred = [row for row in rows if row["obstacle"]]
    carried = [row for row in rows if not row["obstacle"]]
    alone = Counter(row["alone"] for row in carried if "alone" in row)
    asked = [row for row in carried if "alone" not in row]
    passed = [row for row in asked if not row["why"]]
    lines = [_HEAD.format(onnx=version("onnx"), onnxruntime=version("onnxruntime")), "| cases | |", "|---|---|"]
    lines += [f"| of the package | {len(rows):,} |"]
    lines += [f"| not passed by ONNX Runtime itself: {_ALONE[why]} | {n:,} |" for why, n in sorted(alone.items())]
    lines += [f"| the protocol has no such values, see below | {len(barred):,} |"]
    lines += [f"| **asked of a peer** | **{len(asked):,}** |", f"| **passed** | **{len(passed):,}** |"]
    lines += [f"| of these published with an example, see below | {sum(row['example'] for row in passed):,} |"]
    kinds = Counter(row["name"].partition("/")[0] for row in rows)
    right = Counter(row["name"].partition("/")[0] for row in passed)
    listed = ", ".join(f"{right[kind]:,} of {count:,} `{kind}`" for kind, count in sorted(kinds.items()))
    lines += ["", f"Passed, by the package's own kinds: {listed}."]
    lines += [_BARRED, "| the case has | cases | ONNX Runtime passes |", "|---|---|---|"]
    for why, count in sorted(Counter(row["obstacle"] for row in barred).items()):
        able = sum(row["obstacle"] == why and "alone" not in row for row in barred)
        lines.append(f"| {_OBSTACLES.get(why, why)} | {count:,} | {able:,} |")
    lines += [_EXAMPLES.rstrip()]
    failed = [row for row in rows if row.get("why")]
    if failed:
        lines += ["", "## Failed", "", *(f"- `{row['name']}`: {row['why']}" for row in failed)]
    path.write_text("\n".join(lines) + "\n")
