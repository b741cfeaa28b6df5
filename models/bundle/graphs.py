"""Checks of a bundle's ONNX graphs: an allow-list of operators, and no shapes from data.

An allowed graph ends: without Loop, If and Scan, its work depends on the number of latents alone.
Only the few fields of onnx.proto that this needs are declared here, because the package `onnx`
does not belong in the web image; ONNX Runtime brings protobuf.
"""

from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from models.errors import BadBundle

_FIELD = descriptor_pb2.FieldDescriptorProto
# Message → its fields as (name, number, type); a type that is a message's name is a submessage.
# onnx.proto, IR version 8; all but op_type, domain and name are repeated.
_SCHEMA: dict[str, list[tuple[str, int, str]]] = {
    "Model": [("graph", 7, "Graph"), ("functions", 25, "Function")],
    "Function": [("name", 1, "bytes")],
    "Graph": [("node", 1, "Node"), ("input", 11, "Value"), ("initializer", 5, "Tensor")],
    "Value": [("name", 1, "bytes")],
    "Tensor": [("name", 8, "bytes")],
    "Node": [
        ("input", 1, "bytes"),
        ("output", 2, "bytes"),
        ("op_type", 4, "bytes"),
        ("attribute", 5, "Attribute"),
        ("domain", 7, "bytes"),
    ],
    "Attribute": [("g", 6, "Graph"), ("graphs", 11, "Graph")],
}

# Deterministic operators whose work is bounded by the sizes of their inputs and outputs.
ALLOWED_OPERATORS = frozenset(
    [
        "Abs",
        "Add",
        "And",
        "AveragePool",
        "BatchNormalization",
        "Cast",
        "Ceil",
        "Clip",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Conv",
        "ConvTranspose",
        "CumSum",
        "DepthToSpace",
        "Div",
        "Einsum",
        "Elu",
        "Equal",
        "Erf",
        "Exp",
        "Expand",
        "Flatten",
        "Floor",
        "Gather",
        "Gelu",
        "Gemm",
        "GlobalAveragePool",
        "Greater",
        "GreaterOrEqual",
        "GroupNormalization",
        "HardSigmoid",
        "Identity",
        "InstanceNormalization",
        "LayerNormalization",
        "LeakyRelu",
        "Less",
        "LessOrEqual",
        "Log",
        "MatMul",
        "Max",
        "MaxPool",
        "Mean",
        "Min",
        "Mod",
        "Mul",
        "Neg",
        "Not",
        "Or",
        "PRelu",
        "Pad",
        "Pow",
        "Reciprocal",
        "ReduceL2",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceSum",
        "ReduceSumSquare",
        "Relu",
        "Reshape",
        "Resize",
        "Round",
        "Shape",
        "Sigmoid",
        "Sign",
        "Slice",
        "Softmax",
        "Softplus",
        "SpaceToDepth",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Sum",
        "Tanh",
        "Tile",
        "Transpose",
        "Unsqueeze",
        "Where",
    ]
)
REDUCTIONS = sorted(name for name in ALLOWED_OPERATORS if name.startswith("Reduce"))
# Operator → the inputs that are sizes of its output. They may not depend on the latents' values.
SIZES = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    # The axes count too: which one is padded or reduced decides the size.
    "Pad": (1, 3),
    **dict.fromkeys(REDUCTIONS, (1,)),
    "Reshape": (1,),
    # The region too, by which tf_crop_and_resize multiplies the scales.
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "Unsqueeze": (1,),
}


def check(path: Path) -> None:
    """Raises BadBundle for a graph that Kao would not have exported, with the reason."""
    model = _classes()["Model"]()
    try:
        model.ParseFromString(path.read_bytes())
    except (message.DecodeError, OSError) as error:
        raise BadBundle(f"{path.name} cannot be read: {type(error).__name__}.") from None
    if len(model.graph) != 1 or model.functions:  # two graphs would be merged into one
        raise BadBundle(f"{path.name} is not one graph without functions.")
    _check_graph(path.name, model.graph[0])


def _check_graph(name: str, graph: Any) -> None:
    weights = {tensor.name[-1] for tensor in graph.initializer if tensor.name}
    # Values that depend on the numbers, not the shapes, of the graph's inputs.
    variable = {value.name[-1] for value in graph.input if value.name} - weights
    for node in graph.node:
        operator = _last(node.op_type)
        if _last(node.domain) not in ("", "ai.onnx") or operator not in ALLOWED_OPERATORS:
            raise BadBundle(f"{name} uses the operator {operator[:40]!r}, which is not allowed.")
        if any(attribute.g or attribute.graphs for attribute in node.attribute):
            raise BadBundle(f"{name} has a graph within {operator}.")
        sizes = [node.input[place] for place in SIZES.get(operator, ()) if place < len(node.input)]
        if variable.intersection(sizes):
            raise BadBundle(f"{name} computes a size of {operator} from its input's numbers.")
        if operator != "Shape" and variable.intersection(node.input):
            variable.update(output for output in node.output if output)


def _last(values: Any) -> str:
    """The value of a field that may occur more than once: protobuf's parsers take the last one."""
    return values[-1].decode("ascii", "replace") if values else ""


@cache
def _classes() -> dict[str, type[Any]]:
    file = descriptor_pb2.FileDescriptorProto(
        name="kao/onnx.proto", package="kao.onnx", syntax="proto2"
    )
    for kind, fields in _SCHEMA.items():
        message_type = file.message_type.add(name=kind)
        for name, number, type_name in fields:
            field = message_type.field.add(name=name, number=number, label=_FIELD.LABEL_REPEATED)
            field.type = _FIELD.TYPE_BYTES if type_name == "bytes" else _FIELD.TYPE_MESSAGE
            if type_name != "bytes":
                field.type_name = f".kao.onnx.{type_name}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        kind: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"kao.onnx.{kind}"))
        for kind in _SCHEMA
    }
