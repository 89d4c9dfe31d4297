"""Files that are refused before a runtime reads them: damaged, linked, or with content that an export never has."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from caser.answering.recommender import Recommender
from caser.errors import ArtefactError
from caser.exported import read
from caser.exported.read import OPERATORS, read_onnx, states_alone, with_checksum
from caser.exported.scorer import OnnxScorer, session, through_onnx
from caser.models.base import StateScorer
from tests.exported.networks import SMALL, exported, made

in_one_folder = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def content() -> bytes:
    return exported(made("caser"))


def written(content: bytes, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(content)
    return path


def refusal(content: bytes, folder: Path) -> str:
    """The message of the refusal, which must name the file."""
    path = written(content, folder)
    with pytest.raises(ArtefactError) as raised:
        read_onnx(path)
    assert str(path) in str(raised.value)
    return str(raised.value)


def test_a_file_that_was_exported_says_what_it_is(content: bytes, tmp_path: Path) -> None:
    found = read_onnx(written(content, tmp_path))
    assert found.content == content
    assert found.facts["model"] == "caser"
    assert found.facts["settings"]["L"] == 4
    assert (found.facts["format"], found.facts["seen"], found.facts["num_items"]) == (1, "remove", 40)


@pytest.mark.parametrize("name", SMALL)
def test_any_onnx_reader_accepts_the_file_and_finds_its_facts(name: str) -> None:
    model = onnx.load_from_string(exported(made(name)))
    onnx.checker.check_model(model, full_check=True)
    assert [entry.key for entry in model.metadata_props] == ["caser", "sha256"]


def test_every_allowed_operator_is_used_by_a_network() -> None:
    used = {node.op_type for name in SMALL for node in onnx.load_from_string(exported(made(name))).graph.node}
    assert used == OPERATORS


@pytest.mark.parametrize("name", SMALL)
def test_the_nodes_after_the_states_can_be_dropped(name: str) -> None:
    model = onnx.load_from_string(states_alone(exported(made(name))))
    onnx.checker.check_model(model)
    assert [one.name for one in (*model.graph.input, *model.graph.output)] == ["users", "histories", "states"]
    assert model.graph.node[-1].output == ["states"]


# Damage


@given(st.data())
@in_one_folder
def test_any_flipped_bit_is_noticed(content: bytes, tmp_path: Path, data: st.DataObject) -> None:
    place, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    refusal(bytes(changed), tmp_path)


@given(st.data())
@in_one_folder
def test_a_file_that_was_cut_or_extended_is_refused(content: bytes, tmp_path: Path, data: st.DataObject) -> None:
    refusal(content[: data.draw(st.integers(0, len(content) - 1))], tmp_path)
    refusal(content + data.draw(st.binary(min_size=1, max_size=9)), tmp_path)


@given(st.binary(max_size=60))
@in_one_folder
def test_bytes_that_are_not_a_model_are_refused_even_with_a_correct_checksum(tmp_path: Path, junk: bytes) -> None:
    refusal(with_checksum(junk), tmp_path)


@given(st.data())
@in_one_folder
def test_a_wrong_byte_in_a_file_with_a_correct_checksum_gives_at_most_an_artefact_error(
    content: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    changed = bytearray(content[: -len(with_checksum(b""))])
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    path = written(with_checksum(bytes(changed)), tmp_path)
    with suppress(ArtefactError):  # a changed weight is no other kind of file
        scorer = made("caser").scorer
        assert isinstance(scorer, StateScorer)
        OnnxScorer(scorer, read_onnx(path).content, path)


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {tmp_path / 'canary'}",)

    with zipfile.ZipFile(tmp_path / "torch.zip", "w") as archive:
        archive.writestr("../../data.pkl", pickle.dumps(Hostile()))
    for content in (b"", pickle.dumps(Hostile()), (tmp_path / "torch.zip").read_bytes(), b"ORTM" * 50):
        refusal(content, tmp_path)
        refusal(with_checksum(content), tmp_path)
    assert not (tmp_path / "canary").exists()


# Links and size


def test_a_link_of_either_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    path = written(content, tmp_path)
    for link in (tmp_path / "hard.onnx", tmp_path / "symbolic.onnx"):
        (link.hardlink_to if link.name == "hard.onnx" else link.symlink_to)(path)
        with pytest.raises(ArtefactError, match="link"):
            read_onnx(link)


def test_a_file_that_is_too_large_is_refused_unread(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "MOST_BYTES", len(content) - 1)
    assert "at most" in refusal(content, tmp_path)


def test_a_file_with_too_many_parts_is_refused(content: bytes, tmp_path: Path) -> None:
    model = onnx.load_from_string(content)
    model.graph.output[0].type.tensor_type.shape.dim.extend([onnx.TensorShapeProto.Dimension()] * read.MOST_PARTS)
    assert "parts" in refusal(signed(model), tmp_path)


# Malice, with a right checksum


def signed(model: onnx.ModelProto) -> bytes:
    """The bytes of a changed model with a correct checksum, as an attacker can write them."""
    entries = [entry for entry in model.metadata_props if entry.key != "sha256"]
    del model.metadata_props[:]
    model.metadata_props.extend(entries)
    return with_checksum(model.SerializeToString())


def external(location: str) -> TensorProto:
    tensor = TensorProto(name="secret", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def as_initializer(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.initializer.append(tensor)


def as_attribute(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["secret"], value=tensor))


def as_attribute_of_our_operator(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("value", tensor))


def as_sparse_values(model: onnx.ModelProto, tensor: TensorProto) -> None:
    indices = helper.make_tensor("places", TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, indices, [1]))


def in_a_training_step(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.training_info.add().initialization.initializer.append(tensor)


def in_a_function(model: onnx.ModelProto, tensor: TensorProto) -> None:
    node = helper.make_node("Constant", [], ["y"], value=tensor)
    model.functions.append(helper.make_function("own", "f", [], ["y"], [node], [helper.make_opsetid("", 21)]))


def in_a_branch(model: onnx.ModelProto, tensor: TensorProto) -> None:
    branch = helper.make_graph([], "branch", [], [], [tensor])
    model.graph.node[0].attribute.append(helper.make_attribute("then_branch", branch))


def in_one_of_many_tensors(model: onnx.ModelProto, tensor: TensorProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("values", [tensor]))


def without_a_location(model: onnx.ModelProto, tensor: TensorProto) -> None:
    del tensor.external_data[:]
    model.graph.initializer.append(tensor)


def with_a_location_alone(model: onnx.ModelProto, tensor: TensorProto) -> None:
    tensor.data_location = TensorProto.DEFAULT
    tensor.raw_data = np.float32(0).tobytes()
    model.graph.initializer.append(tensor)


EVERYWHERE = [
    as_initializer,
    as_attribute,
    as_attribute_of_our_operator,
    as_sparse_values,
    in_a_training_step,
    in_a_function,
    in_a_branch,
    in_one_of_many_tensors,
    without_a_location,
    with_a_location_alone,
]


@pytest.mark.parametrize("hide", EVERYWHERE)
@pytest.mark.parametrize("way", ["relative", "absolute", "upwards", "symbolic link", "hard link"])
def test_external_data_is_refused_before_a_runtime_sees_the_file(
    hide: Callable[[onnx.ModelProto, TensorProto], None],
    way: str,
    content: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    location = canary(way, tmp_path)
    monkeypatch.chdir(tmp_path / "run")
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: pytest.fail("the runtime saw the file"))
    model = onnx.load_from_string(content)
    hide(model, external(location))
    path = written(signed(model), tmp_path / "run")
    with pytest.raises(ArtefactError, match=r"got .*(external|sparse|attribute|graph|training|functions|operator)"):
        through_onnx(Recommender(made("caser")), path)


def canary(way: str, folder: Path) -> str:
    """A secret file, and its path as external data of an ONNX file in another folder."""
    (folder / "run").mkdir()
    secret = folder / "secret.bin"
    secret.write_bytes(np.float32(42).tobytes())
    link = folder / "run" / "data.bin"
    if way == "symbolic link":
        link.symlink_to(secret)
    elif way == "hard link":
        link.hardlink_to(secret)
    elif way == "relative":
        link.write_bytes(secret.read_bytes())
    return {"absolute": str(secret), "upwards": "../secret.bin"}.get(way, "data.bin")


@pytest.mark.parametrize("way", ["relative", "absolute", "upwards", "symbolic link", "hard link"])
def test_a_runtime_that_gets_bytes_cannot_read_external_data_either(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensor = external(canary(way, tmp_path))
    monkeypatch.chdir(tmp_path / "run")
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Neg", ["secret"], ["y"])], "g", [], [value], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    with pytest.raises(ArtefactError, match="must be a graph that runs"):
        session(model.SerializeToString(), "hostile")


@pytest.mark.parametrize("operator", ["Loop", "If", "Scan", "ConstantOfShape", "RandomNormal", "Expand", "Einsum", ""])
def test_an_operator_that_no_network_has_is_refused(operator: str, content: bytes, tmp_path: Path) -> None:
    model = onnx.load_from_string(content)
    model.graph.node[-1].op_type = operator
    assert "another operator" in refusal(signed(model), tmp_path)


def test_an_operator_of_another_domain_is_refused(content: bytes, tmp_path: Path) -> None:
    model = onnx.load_from_string(content)
    model.graph.node[-1].domain = "com.example"
    assert "of another domain, 'com.example'" in refusal(signed(model), tmp_path)
    model = onnx.load_from_string(content)
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    assert "of another domain, 'com.example'" in refusal(signed(model), tmp_path)


def test_a_second_graph_is_checked_too(content: bytes, tmp_path: Path) -> None:
    # Parsers merge the parts of a field that comes twice, so that either may hold what hurts.
    hostile = onnx.ModelProto()
    as_initializer(hostile, external("data.bin"))
    unsigned = content[: -len(with_checksum(b""))]
    for both in (hostile.SerializeToString() + unsigned, unsigned + hostile.SerializeToString()):
        assert "external data" in refusal(with_checksum(both), tmp_path)


def test_a_file_has_one_graph(content: bytes, tmp_path: Path) -> None:
    unsigned = content[: -len(with_checksum(b""))]
    assert "2 graphs" in refusal(with_checksum(unsigned + b"\x3a\x00"), tmp_path)


@pytest.mark.parametrize("facts", [b"", b"[]", b"{}", b"{", b'{"format": 2}', b'{"format": "1"}', b"[" * 100_000])
def test_facts_that_are_missing_damaged_or_newer_are_refused(facts: bytes, content: bytes, tmp_path: Path) -> None:
    model = onnx.load_from_string(content)
    model.metadata_props[0].value = facts.decode()
    refusal(signed(model), tmp_path)


@pytest.mark.parametrize("names", [["caser", "caser"], ["caser", "ort_config"], []])
def test_other_metadata_is_refused(names: list[str], content: bytes, tmp_path: Path) -> None:
    model = onnx.load_from_string(content)
    facts = model.metadata_props[0].value
    del model.metadata_props[:]
    for name in names:
        model.metadata_props.add(key=name, value=facts)
    refusal(signed(model), tmp_path)


@pytest.mark.parametrize(
    "ending",
    [b"\x0b", b"\x09" + bytes(8), b"\x3a\x7f", b"\x80", b"\xff" * 10 + b"\x01", b"\x7a\x00", b"\x02\x00"],
    ids=["a group", "eight bytes", "too long", "no end", "no number", "an unknown field", "field 0"],
)
def test_bytes_that_are_not_onnx_are_refused(ending: bytes, content: bytes, tmp_path: Path) -> None:
    refusal(with_checksum(content[: -len(with_checksum(b""))] + ending), tmp_path)
