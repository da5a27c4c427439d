"""A sample of the `onnx` package's cases through a real provider: every datatype, and every shape of question.

`make conformance` asks all of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import onnx
import pytest

from wire.tensors import DataType

from .cases import Case, cases_of, stored_case
from .serving import Verdict, open_stand, serve_all
from .table import write_table

GENERATED = {  # by the package's own module
    "add": ["add_uint8", "add_uint16", "add_uint32", "add_uint64", "add_int8", "add_int16"],
    "castlike": ["castlike_FLOAT_to_BFLOAT16", "castlike_BFLOAT16_to_FLOAT"],
    "dropout": ["dropout_default_mask_ratio"],  # a scalar in, two outputs
    "lstm": ["lstm_with_peepholes"],  # eight inputs
    "max": ["max_float16", "max_float64"],
    "pow": ["pow_types_float32_int32"],
    "reducesum": ["reduce_sum_empty_set"],  # no elements in, some out
    "size": ["size"],  # a scalar out
    "string_concat": ["string_concat_utf8"],
    "string_split": ["string_split_empty_tensor"],  # text in, text and numbers out, a dim that is not known
    "topk": ["top_k"],  # runs on no made-up input: it needs an example
    "where": ["where_example"],
}
NOT_CARRIED = {"castlike": ["castlike_FLOAT_to_FLOAT8E4M3FN", "castlike_FLOAT_to_INT4"]}
STORED = [
    ("simple", "test_sequence_model8"),
    ("pytorch-converted", "test_Conv2d_groups_thnn"),
]  # free dims; weights as inputs


@pytest.fixture(scope="module")
def sample() -> list[Case]:
    modules = [*GENERATED, *(NOT_CARRIED.keys() - GENERATED.keys())]
    by_name = {case.name: case for case in cases_of(modules)}
    names = [name for chosen in (GENERATED, NOT_CARRIED) for several in chosen.values() for name in several]
    return [by_name[f"node/test_{name}"] for name in names] + [stored_case(*which) for which in STORED]


def test_the_sample_has_every_datatype_and_every_shape_of_question(sample: list[Case]) -> None:
    carried = [case for case in sample if case.obstacle is None]
    kinds = {tensor.header.datatype for case in carried for tensor in case.tensors()}
    assert kinds == set(get_args(DataType))
    shapes = [tensor.header.shape for case in carried for tensor in case.tensors()]
    assert () in shapes
    assert any(0 in shape for shape in shapes)
    assert max(len(case.inputs) for case in carried) == 8
    assert max(len(case.outputs) for case in carried) > 1
    free = [dim for case in carried for value in case.inputs for dim in value.type.tensor_type.shape.dim]
    assert any(not dim.HasField("dim_value") for dim in free)
    assert sum(case.obstacle is not None for case in sample) == 2


async def test_what_onnx_runtime_passes_passes_through_a_peer(sample: list[Case], tmp_path: Path) -> None:
    verdicts: dict[str, Verdict] = {}

    def tell(case: Case, verdict: Verdict) -> None:
        verdicts[case.name] = verdict

    async with open_stand(tmp_path) as stand:
        await serve_all(stand, sample, tell)
    assert {name: verdict.why for name, verdict in verdicts.items() if verdict.why} == {}
    assert len(verdicts) == len(sample)
    assert {name for name, v in verdicts.items() if v.with_example} == {
        "node/test_top_k",
        "simple/test_sequence_model8",
    }


async def test_an_answer_that_is_not_the_cases_is_noticed(sample: list[Case], tmp_path: Path) -> None:
    """The runner itself: another model under the case's name must not pass, nor one that it says is not carried."""
    case = next(case for case in sample if case.name == "node/test_add_uint8")
    model = onnx.load_from_string(case.model)
    model.graph.node[0].op_type = "Sub"
    wrong = Case(**{**vars(case), "model": model.SerializeToString()})
    barred = Case(**{**vars(case), "inputs": ()})
    verdicts: list[Verdict] = []
    async with open_stand(tmp_path) as stand:
        await serve_all(stand, [wrong, barred], lambda _, verdict: verdicts.append(verdict))
    whys = sorted(str(verdict.why) for verdict in verdicts)
    assert whys[0].startswith("other outputs: Not equal to tolerance")
    assert whys[1] == "taken, in spite of: no inputs"


def test_the_table_counts_every_case_once(tmp_path: Path) -> None:
    rows = [
        {"name": "node/a", "obstacle": None, "example": False, "why": None},
        {"name": "node/b", "obstacle": None, "example": True, "why": None},
        {"name": "real/c", "obstacle": None, "example": False, "why": "other outputs: of its own"},
        {"name": "node/d", "obstacle": "type INT4", "example": False, "why": None},
        {"name": "node/e", "obstacle": "sequence", "alone": "cannot load"},
    ]
    write_table(tmp_path / "t.md", rows)
    text = (tmp_path / "t.md").read_text()
    for line in (
        "| of the package | 5 |",
        "| the protocol has no such values, see below | 2 |",
        "| type INT4 | 1 | 1 |",
        "| sequences of tensors | 1 | 0 |",
        "| **asked of a peer** | **3** |",
        "| **passed** | **2** |",
        "2 of 4 `node`, 0 of 1 `real`",
        "- `real/c`: other outputs: of its own",
    ):
        assert line in text, line
