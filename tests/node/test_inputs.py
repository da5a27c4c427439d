"""What a user gives as inputs: every way to give it, every way to get it wrong, and any bytes at all."""

from __future__ import annotations

import io
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import node.inputs
from node.errors import CommandError, Exit
from node.inputs import Given, make_tensors, read_input
from wire.arrays import to_array
from wire.generation import generator_signature
from wire.tensors import ITEM_SIZE, DataType, Tensor, TensorSpec, split_bytes

ROW = TensorSpec(name="x", datatype="FP32", shape=("n", 3))


def spec(datatype: DataType, *shape: int | str) -> TensorSpec:
    return TensorSpec(name="x", datatype=datatype, shape=shape)


def made(wanted: TensorSpec, how: str, data: bytes) -> Tensor:
    (tensor,) = make_tensors({"x": (how, data)}, [wanted])
    tensor.check()
    return tensor


def refused(wanted: TensorSpec, how: str, data: bytes) -> str:
    with pytest.raises(CommandError) as caught:
        made(wanted, how, data)
    assert caught.value.exit_code is Exit.USAGE
    return caught.value.message


def npy(array: Any, **how: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **how)
    return file.getvalue()


class TestReading:
    """From the command line to how and what."""

    def test_a_value_is_json_whatever_it_holds(self) -> None:
        assert read_input("x=[1, 2]") == ("x", ("json", b"[1, 2]"))
        assert read_input("x=a=b@c") == ("x", ("json", b"a=b@c"))
        assert read_input("x=") == ("x", ("json", b""))

    @pytest.mark.parametrize("text", ["", "x", "=1", "@file"])
    def test_what_names_no_input_is_refused(self, text: str) -> None:
        with pytest.raises(CommandError) as caught:
            read_input(text)
        assert caught.value.exit_code is Exit.USAGE

    @pytest.mark.parametrize(("name", "how"), [("a.npy", "npy"), ("a.json", "json"), ("a.bin", "raw"), ("a", "raw")])
    def test_a_file_s_name_says_how_to_read_it(self, tmp_path: Path, name: str, how: str) -> None:
        (tmp_path / name).write_bytes(b"abc")
        assert read_input(f"x=@{tmp_path / name}") == ("x", (how, b"abc"))

    def test_a_file_that_cannot_be_read_is_a_sentence(self, tmp_path: Path) -> None:
        for place in (tmp_path / "none", tmp_path, "~no-such-user-anywhere/x"):
            with pytest.raises(CommandError) as caught:
                read_input(f"x=@{place}")
            assert caught.value.exit_code is Exit.NOT_FOUND

    def test_a_file_over_the_bound_is_not_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(node.inputs, "MAX_FILE_INPUT", 3)
        (tmp_path / "a").write_bytes(b"1234")
        with pytest.raises(CommandError, match="over 3 bytes") as caught:
            read_input(f"x=@{tmp_path / 'a'}")
        assert caught.value.exit_code is Exit.USAGE


class TestNames:
    """All of the model's inputs, no others, in its own order."""

    SPECS = (spec("FP32", 1), TensorSpec(name="y", datatype="INT8", shape=(1,)))

    def test_the_order_is_the_model_s(self) -> None:
        given_: dict[str, Given] = {"y": ("json", b"[1]"), "x": ("json", b"[2]")}
        assert [t.name for t in make_tensors(given_, self.SPECS)] == ["x", "y"]

    @pytest.mark.parametrize("names", [[], ["x"], ["x", "y", "z"], ["X", "y"]])
    def test_missing_and_unknown_inputs_are_told_with_what_is_wanted(self, names: list[str]) -> None:
        with pytest.raises(CommandError) as caught:
            make_tensors({name: ("json", b"[1]") for name in names}, self.SPECS)
        assert "x (FP32 [1]), y (INT8 [1])" in caught.value.next_step


class TestNpy:
    def test_an_array_of_the_right_type_and_shape(self) -> None:
        array = np.arange(6, dtype=np.float32).reshape(2, 3)
        assert (to_array(made(ROW, "npy", npy(array))) == array).all()

    def test_byte_order_and_memory_order_do_not_matter(self) -> None:
        array = np.arange(6, dtype=np.float32).reshape(2, 3)
        for same in (array.astype(">f4"), np.asfortranarray(array)):
            assert (to_array(made(ROW, "npy", npy(same))) == array).all()

    def test_texts_become_bytes(self) -> None:
        tensor = made(spec("BYTES", "n"), "npy", npy(np.array(["é", "abc"])))
        assert split_bytes(tensor.data) == ["é".encode(), b"abc"]

    def test_bf16_is_given_in_its_sixteen_bits(self) -> None:
        tensor = made(spec("BF16", 2), "npy", npy(np.array([1, 2], np.uint16)))
        assert tensor.header.datatype == "BF16"
        refused(spec("BF16", 2), "npy", npy(np.array([1, 2], np.float32)))

    @pytest.mark.parametrize("kind", ["f8", "f2", "i4", "?", "c8", "M8[s]", "V4"])
    def test_another_type_is_refused(self, kind: str) -> None:
        refused(ROW, "npy", npy(np.zeros((1, 3), dtype=kind)))

    @pytest.mark.parametrize("shape", [(3,), (1, 4), (1, 3, 1), ()])
    def test_another_shape_is_refused(self, shape: tuple[int, ...]) -> None:
        refused(ROW, "npy", npy(np.zeros(shape, np.float32)))

    def test_a_pickle_is_never_loaded(self, tmp_path: Path) -> None:
        class Evil:
            def __reduce__(self) -> tuple[Any, ...]:
                return (Path.touch, (tmp_path / "touched",))

        objects = np.empty(1, dtype=object)
        objects[0] = Evil()
        for data in (npy(objects, allow_pickle=True), pickle.dumps(Evil())):
            refused(spec("BYTES", 1), "npy", data)
        assert "pickle" in refused(spec("BYTES", 1), "npy", npy(objects, allow_pickle=True))
        assert not (tmp_path / "touched").exists()

    def test_an_archive_is_refused(self) -> None:
        file = io.BytesIO()
        np.savez(file, x=np.zeros((1, 3), np.float32))
        refused(ROW, "npy", file.getvalue())

    def test_a_header_that_claims_more_than_the_file_holds_is_refused_before_memory_is_taken(self) -> None:
        head = str({"descr": "<f4", "fortran_order": False, "shape": (2**40, 3)}).encode()
        data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head) + 1) + head + b"\n"
        assert "cut short" in refused(ROW, "npy", data + bytes(12))

    @pytest.mark.parametrize("cut", [0, 5, 9, 40, -1])
    def test_a_file_cut_short_is_refused(self, cut: int) -> None:
        refused(ROW, "npy", npy(np.zeros((1, 3), np.float32))[:cut])


class TestJson:
    @pytest.mark.parametrize("datatype", [kind for kind in ITEM_SIZE if kind != "BF16"])
    def test_numbers_for_every_type(self, datatype: DataType) -> None:
        tensor = made(spec(datatype, "n"), "json", b"[0, 1]")
        assert tensor.header.datatype == datatype
        assert to_array(tensor).tolist() == [0, 1]

    def test_rows_take_the_shape_they_are_written_in(self) -> None:
        assert made(ROW, "json", b"[[1, 2, 3], [4, 5, 6]]").header.shape == (2, 3)
        assert made(spec("FP32"), "json", b"7").header.shape == ()
        assert made(spec("FP32", "n"), "json", b"[]").header.shape == (0,)

    def test_the_widest_numbers_of_a_type_are_kept_whole(self) -> None:
        assert to_array(made(spec("UINT64", 2), "json", b"[0, 18446744073709551615]")).tolist() == [0, 2**64 - 1]
        assert to_array(made(spec("INT64", 2), "json", b"[-9223372036854775808, 1]")).tolist() == [-(2**63), 1]

    @pytest.mark.parametrize(
        ("datatype", "value"),
        [
            ("INT32", b"[1.5]"), ("INT32", b"[1.0]"), ("INT8", b"[128]"), ("INT8", b"[-129]"), ("UINT8", b"[-1]"),
            ("UINT64", b"[18446744073709551616]"), ("INT64", b"[9223372036854775808]"), ("BOOL", b"[2]"),
            ("BOOL", b"[0.5]"), ("FP16", b"[70000]"), ("FP32", b"[1e39]"), ("FP32", b"[-1e39]"), ("INT32", b"[NaN]"),
            ("FP32", b'["1"]'), ("FP32", b"[null]"), ("FP32", b'{"a": 1}'), ("FP32", b"[[1], [2, 3]]"),
            ("FP32", b"[1"), ("FP32", b""), ("FP32", b"\xff"), ("FP32", b"[" * 100_000), ("FP32", b"1" * 5000),
            ("BF16", b"[1]"),
        ],
    )  # fmt: skip
    def test_what_would_be_cut_or_guessed_is_refused(self, datatype: DataType, value: bytes) -> None:
        assert refused(spec(datatype, "n"), "json", value).startswith("input x: ")

    def test_what_is_written_as_infinite_is_meant(self) -> None:
        values = to_array(made(spec("FP32", 2), "json", b"[Infinity, NaN]"))
        assert np.isinf(values[0])
        assert np.isnan(values[1])

    def test_another_shape_is_refused(self) -> None:
        assert "shape [3]" in refused(ROW, "json", b"[1, 2, 3]")

    def test_texts_are_kept_to_the_letter(self) -> None:
        tensor = made(spec("BYTES", 2, 2), "json", '[["a\\u0000", ""], ["é", "a much longer text"]]'.encode())
        assert split_bytes(tensor.data) == [b"a\0", b"", "é".encode(), b"a much longer text"]

    @pytest.mark.parametrize("value", [b"[1]", b"[null]", b'[["a"], ["b", "c"]]', b'{"a": "b"}', b'["\\ud800"]'])
    def test_what_is_no_text_is_refused(self, value: bytes) -> None:
        refused(spec("BYTES", "n"), "json", value)


class TestOneElement:
    """What people write without brackets and quotes."""

    def test_a_number_alone_fills_a_tensor_of_one(self) -> None:
        assert made(spec("UINT64", 1), "json", b"7").header.shape == (1,)
        assert made(spec("FP32", "n", 1), "json", b"0.5").header.shape == (1, 1)
        assert "shape [1]" in refused(spec("INT8", 3), "json", b"7")

    @pytest.mark.parametrize("text", ["Once upon", "5", "", " a [1] ", "null", "é\n"])
    def test_a_text_needs_no_quotes(self, text: str) -> None:
        tensor = made(spec("BYTES", "n"), "json", text.encode())
        assert (tensor.header.shape, split_bytes(tensor.data)) == ((1,), [text.encode()])
        assert "holds several" in refused(spec("BYTES", 2), "json", text.encode())

    def test_a_text_in_quotes_is_json(self) -> None:
        tensor = made(spec("BYTES", 1), "json", b'"[1]\\n"')
        assert split_bytes(tensor.data) == [b"[1]\n"]


class TestGenerators:
    @pytest.mark.parametrize("has_text", [True, False])
    def test_what_is_not_said_has_its_usual_value(self, has_text: bool) -> None:
        specs, _ = generator_signature(has_text=has_text)
        prompt: Given = ("json", b"Once") if has_text else ("json", b"[[1, 2]]")
        tensors = make_tensors({specs[0].name: prompt, "seed": ("json", b"9")}, specs)
        usual = [t for t in tensors if t.header.datatype != "BYTES" and t.name != specs[0].name]
        assert {t.name: to_array(t).tolist() for t in usual} == {
            "max_tokens": [128], "temperature": [0.0], "top_k": [0], "top_p": [1.0], "seed": [9],
        }  # fmt: skip
        assert (tensors[-1].name, tensors[-1].header.shape, bytes(tensors[-1].data)) == ("stop", (0,), b"")

    def test_a_prompt_is_always_said(self) -> None:
        specs, _ = generator_signature(has_text=True)
        for given_ in ({}, {"seed": ("json", b"9")}, {"input_ids": ("json", b"[[1]]"), "prompt": ("json", b"a")}):
            with pytest.raises(CommandError) as caught:
                make_tensors(given_, specs)
            assert "prompt (BYTES [1])" in caught.value.next_step

    def test_another_model_has_no_usual_values(self) -> None:
        specs, _ = generator_signature(has_text=True)
        with pytest.raises(CommandError, match="inputs given: prompt"):
            make_tensors({"prompt": ("json", b"a")}, specs[:-1])


class TestRaw:
    def test_a_free_dim_follows_from_the_size(self) -> None:
        assert made(ROW, "raw", bytes(36)).header.shape == (3, 3)
        assert made(ROW, "raw", b"").header.shape == (0, 3)
        assert made(spec("FP32", 1, 3), "raw", bytes(12)).header.shape == (1, 3)

    def test_bf16_comes_as_raw_bytes(self) -> None:
        assert made(spec("BF16", "n"), "raw", bytes(6)).header.shape == (3,)

    def test_a_file_is_one_element_of_bytes(self) -> None:
        tensor = made(spec("BYTES", "n", 1), "raw", b"\x00text\xff")
        assert (tensor.header.shape, split_bytes(tensor.data)) == ((1, 1), [b"\x00text\xff"])
        refused(spec("BYTES", 2), "raw", b"text")

    @pytest.mark.parametrize("size", [1, 11, 13, 35])
    def test_bytes_that_do_not_fill_it_are_refused(self, size: int) -> None:
        refused(ROW, "raw", bytes(size))

    def test_bytes_for_a_fixed_shape_must_be_exact(self) -> None:
        for size in (0, 8, 16, 24):
            refused(spec("FP32", 1, 3), "raw", bytes(size))

    def test_two_free_dims_cannot_be_guessed(self) -> None:
        assert "several dims are free" in refused(spec("UINT8", "n", "m"), "raw", bytes(12))

    def test_a_bool_is_one_or_zero(self) -> None:
        assert made(spec("BOOL", "n"), "raw", b"\0\1").header.shape == (2,)
        refused(spec("BOOL", "n"), "raw", b"\2")

    def test_a_dim_of_nothing_takes_no_bytes(self) -> None:
        assert made(spec("FP32", "n", 0), "raw", b"").header.shape == (0, 0)
        refused(spec("FP32", "n", 0), "raw", b"1")


SPECS = st.builds(
    TensorSpec,
    name=st.just("x"),
    datatype=st.sampled_from([*ITEM_SIZE, "BYTES"]),
    shape=st.lists(st.integers(0, 3) | st.sampled_from(["n", "m"]), max_size=3).map(tuple),
)
FILES = st.binary(max_size=64) | st.tuples(
    st.sampled_from(["f4", "i8", "U3", "?"]), st.integers(0, 200), st.binary()
).map(lambda t: (good := npy(np.zeros(3, t[0])))[: t[1]] + t[2] + good[t[1] + len(t[2]) :])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
).map(lambda value: json.dumps(value).encode())


@given(SPECS, st.sampled_from(["npy", "json", "raw"]), FILES | VALUES)
def test_any_bytes_are_a_tensor_that_fits_or_a_sentence(wanted: TensorSpec, how: str, data: bytes) -> None:
    try:
        tensor = made(wanted, how, data)
    except CommandError as error:
        told = error
    else:
        assert wanted.accepts(tensor.header) is None
        return
    assert told.exit_code is Exit.USAGE
    assert told.message
