"""ONNX graphs: what Kao exports passes, and nothing that could run without end."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from models import bootstrap, bundle
from models.bundle import graphs
from models.errors import BadBundle
from tests.support.fixtures import WriteBundle


def _graph(nodes: Sequence[NodeProto], name: str = "graph") -> GraphProto:
    latents = helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["N", 8])
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, None)
    one = numpy_helper.from_array(np.array([1], np.int64), "one")
    return helper.make_graph(list(nodes), name, [latents], [images], [one])


def _model(*nodes: NodeProto, domain: str = "") -> ModelProto:
    opsets = [helper.make_opsetid("", 17)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    return helper.make_model(_graph(nodes), opset_imports=opsets, ir_version=8)


def _loop() -> ModelProto:
    body = _graph([helper.make_node("Identity", ["latents"], ["images"])], "body")
    return _model(helper.make_node("Loop", ["one", ""], ["images"], body=body))


def _branch_within_an_allowed_operator() -> ModelProto:
    body = _graph([helper.make_node("Identity", ["latents"], ["images"])], "body")
    return _model(helper.make_node("Identity", ["latents"], ["images"], body=body))


def _size_from_latents() -> ModelProto:
    return _model(
        helper.make_node("Exp", ["latents"], ["large"]),
        helper.make_node("Cast", ["large"], ["sizes"], to=TensorProto.INT64),
        helper.make_node("ConstantOfShape", ["sizes"], ["images"]),
    )


def _function() -> ModelProto:
    model = _model(helper.make_node("Identity", ["latents"], ["images"]))
    node = helper.make_node("Identity", ["x"], ["y"])
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "f", ["x"], ["y"], [node], opsets))
    return model


HOSTILE = {
    "Loop": _loop(),
    "RandomNormal": _model(helper.make_node("RandomNormal", [], ["images"], shape=[1])),
    "Range": _model(helper.make_node("Range", ["one", "one", "one"], ["images"])),
    "Run": _model(helper.make_node("Run", ["latents"], ["images"], domain="evil"), domain="evil"),
    "a graph within": _branch_within_an_allowed_operator(),
    "computes a size": _size_from_latents(),
    "without functions": _function(),
}


@pytest.mark.parametrize("reason", HOSTILE)
def test_a_graph_that_could_run_without_end_is_refused(tmp_path: Path, reason: str) -> None:
    onnx.save(HOSTILE[reason], tmp_path / "synthesis.onnx")
    with pytest.raises(BadBundle, match=reason):
        graphs.check(tmp_path / "synthesis.onnx")


SIZED = {
    "Pad": _model(
        helper.make_node("Cast", ["latents"], ["axes"], to=TensorProto.INT64),
        helper.make_node("Pad", ["latents", "one", "", "axes"], ["images"]),
    ),
    "ReduceSum": _model(
        helper.make_node("Cast", ["latents"], ["axes"], to=TensorProto.INT64),
        helper.make_node("ReduceSum", ["latents", "axes"], ["images"]),
    ),
    "Resize": _model(
        helper.make_node("Resize", ["latents", "latents", "one"], ["images"]),
    ),
}


@pytest.mark.parametrize("operator", SIZED)
def test_neither_an_axis_nor_a_region_may_depend_on_a_latents_numbers(
    tmp_path: Path, operator: str
) -> None:
    onnx.save(SIZED[operator], tmp_path / "synthesis.onnx")
    with pytest.raises(BadBundle, match=f"computes a size of {operator}"):
        graphs.check(tmp_path / "synthesis.onnx")


def test_every_operator_that_may_take_axes_is_checked() -> None:
    reductions = {name for name in graphs.ALLOWED_OPERATORS if name.startswith("Reduce")}
    assert reductions
    assert reductions <= graphs.SIZES.keys()


def test_two_graphs_in_one_file_are_refused(tmp_path: Path) -> None:
    # A protobuf parser merges them, so that a value of the one is an input of the other.
    model = _model(helper.make_node("Identity", ["latents"], ["images"])).SerializeToString()
    (tmp_path / "a.onnx").write_bytes(model + model)
    with pytest.raises(BadBundle, match="one graph"):
        graphs.check(tmp_path / "a.onnx")


def test_bytes_that_are_no_graph_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"no graph")
    with pytest.raises(BadBundle, match=r"cannot be read|one graph"):
        graphs.check(tmp_path / "a.onnx")


def test_a_size_may_depend_on_the_number_of_latents(tmp_path: Path) -> None:
    model = _model(
        helper.make_node("Shape", ["latents"], ["sizes"]),
        helper.make_node("ConstantOfShape", ["sizes"], ["images"]),
    )
    onnx.save(model, tmp_path / "a.onnx")
    graphs.check(tmp_path / "a.onnx")


@pytest.mark.parametrize("folder", bootstrap.shipped_bundles(), ids=lambda folder: folder.name[:12])
def test_every_shipped_graph_is_allowed(folder: Path) -> None:
    files = sorted(folder.glob(f"*{bundle.GRAPH_SUFFIX}"))
    assert files
    for file in files:
        graphs.check(file)


@pytest.mark.parametrize("preset", ["smoke", "modern-64", "classic"])
def test_what_a_run_exports_is_allowed(write_bundle: WriteBundle, preset: str) -> None:
    for file in sorted(write_bundle(preset=preset).glob(f"*{bundle.GRAPH_SUFFIX}")):
        graphs.check(file)
