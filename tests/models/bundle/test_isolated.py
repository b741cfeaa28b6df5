"""A bundle of other people is drawn in a child with limits, and costs this process nothing."""

import resource
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models import bundle
from models.bundle import graphs, isolated, verify
from models.errors import BadBundle
from tests.support.fixtures import WriteBundle


def _huge(latent: int) -> onnx.ModelProto:
    """A synthesis of allowed operators that fills 64 GiB."""
    sizes = numpy_helper.from_array(np.array([2**17, 2**17], np.int64), "sizes")
    sum_of_all = numpy_helper.from_array(np.array([0, 1], np.int64), "axes")
    nodes = [
        helper.make_node("ConstantOfShape", ["sizes"], ["large"]),
        helper.make_node("ReduceSum", ["large", "axes"], ["sum"], keepdims=0),
        helper.make_node("Add", ["latents", "sum"], ["images"]),
    ]
    latents = helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["N", latent])
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "huge", [latents], [images], [sizes, sum_of_all])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_whole_bundle_passes(write_bundle: WriteBundle) -> None:
    folder = write_bundle()
    isolated.verify(folder, bundle.digest(folder))


def test_the_reason_of_a_bad_bundle_comes_back(write_bundle: WriteBundle) -> None:
    with pytest.raises(BadBundle, match="is damaged"):
        isolated.verify(write_bundle(), "0" * 64)


def test_more_memory_than_allowed_is_refused(write_bundle: WriteBundle) -> None:
    folder = write_bundle()
    card = bundle.Card.model_validate(bundle.read_card(folder))
    onnx.save(_huge(card.network.latent), folder / bundle.SYNTHESIS)
    graphs.check(folder / bundle.SYNTHESIS)  # the operators are allowed
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadBundle, match="does not draw"):
        isolated.verify(folder, bundle.digest(folder))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**19  # KiB


def _grows_with_the_number_of_faces(graph: onnx.GraphProto) -> None:
    """Add a tensor of N^12 numbers: 0.5 million for 3 faces, 69 billion for 8."""
    name = graph.input[0].name
    place = numpy_helper.from_array(np.array([0], np.int64), "first")
    axes = numpy_helper.from_array(np.array([0], np.int64), "all")
    twelve = numpy_helper.from_array(np.array([12], np.int64), "twelve")
    graph.initializer.extend([place, axes, twelve])
    output = graph.output[0].name
    for node in graph.node:
        for index, each in enumerate(node.output):
            if each == output:
                node.output[index] = "small"
    graph.node.extend(
        [
            helper.make_node("Shape", [name], ["shape"]),
            helper.make_node("Gather", ["shape", "first"], ["count"]),
            helper.make_node("Pow", ["count", "twelve"], ["power"]),
            helper.make_node("ConstantOfShape", ["power"], ["large"]),
            helper.make_node("ReduceSum", ["large", "all"], ["sum"]),
            helper.make_node("Cast", ["sum"], ["zero"], to=TensorProto.UINT8),
            helper.make_node("Add", ["small", "zero"], [output]),
        ]
    )


def test_more_memory_for_more_faces_than_a_test_draws_is_refused(
    write_bundle: WriteBundle,
) -> None:
    folder = write_bundle()
    model = onnx.load(folder / bundle.SYNTHESIS)
    _grows_with_the_number_of_faces(model.graph)
    onnx.save(model, folder / bundle.SYNTHESIS)
    verify.verify(folder, bundle.digest(folder))  # three faces take little
    with pytest.raises(BadBundle, match="does not draw"):
        isolated.verify(folder, bundle.digest(folder))


def test_more_time_than_allowed_is_refused(
    write_bundle: WriteBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "SECONDS", 0.001)
    folder: Path = write_bundle()
    with pytest.raises(BadBundle, match="does not draw within"):
        isolated.verify(folder, bundle.digest(folder))
