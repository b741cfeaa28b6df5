"""A bundle of other people is drawn in a child with limits, and costs this process nothing."""

import resource
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models import bundle
from models.bundle import graphs, isolated
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


def test_more_time_than_allowed_is_refused(
    write_bundle: WriteBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "SECONDS", 0.001)
    folder: Path = write_bundle()
    with pytest.raises(BadBundle, match="does not draw within"):
        isolated.verify(folder, bundle.digest(folder))
