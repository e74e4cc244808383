"""The policy as an ONNX graph of standard operators, written directly: no converter stands between."""

from functools import partial

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from softrl import __version__
from softrl.errors import ExportError
from softrl.layers import Activation, BatchNorm, BatchRenorm, Dense, LayerNorm, Layers, Residual, RMSNorm, named
from softrl.numpy_network import Categorical, Sampler, Scalar, TanhGaussian
from softrl.numpy_policy import NumpyPolicy

OPSET, IR = 20, 9  # Gelu came with operator set 20
_ACTIVATIONS = {"relu": "Relu", "elu": "Elu", "tanh": "Tanh"}


OUTPUTS = ("action", "value")
"""What a policy's file gives, and that of a network of one number."""

NOISE = "noise"
"""The input `[batch, A]` of a sampler beside the observations: standard normal for a draw, zeros for the mode."""


OWN = "softrl/"
"""Begins the name of every value inside the graph, so that observations may have any other."""


class Graph:
    """Nodes and constants as they are added; every method takes names of values and returns the name of a new one."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        """A tensor stored in the file."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), f"{OWN}{name}"))
        return f"{OWN}{name}"

    def add(self, operator: str, *inputs: str, out: str, **attributes: object) -> str:
        """One operator's only output, which has the name `out` itself where that is one of the file's."""
        out = out if out in OUTPUTS else f"{OWN}{out}"
        self.nodes.append(helper.make_node(operator, inputs, [out], name=out, **attributes))
        return out


def serialize(policy: NumpyPolicy, about: dict[str, str]) -> bytes:
    """The ONNX file: inputs named like the policy's observations `[batch, ...]`, one output `action`, `[batch, A]`;
    of a discrete policy `[batch]`, int64. A sampler has an input `noise` `[batch, A]` more; a network of one number has
    one output `value`, `[batch]`.

    Raises: ExportError where an observation has a name that the file needs itself.
    """
    inputs, graph = policy.spec.inputs, Graph()
    values = [helper.make_tensor_value_info(x.name, TensorProto.FLOAT, ["batch", *x.shape]) for x in inputs]
    parts = [_normalised(graph, policy, x.name, moments) for x, moments in zip(inputs, policy.moments, strict=True)]
    count = policy.spec.head.noise_inputs
    for taken in (x.name for x in inputs if x.name in OUTPUTS or (count and x.name == NOISE) or OWN in x.name):
        raise ExportError(f"an observation is called {taken!r}, as a value of the file itself: rename it")
    if count:
        values.append(helper.make_tensor_value_info(NOISE, TensorProto.FLOAT, ["batch", count]))
        parts.append(NOISE)
    x = graph.add("Concat", *parts, out="joined", axis=1) if len(parts) > 1 else parts[0]
    result = _head(graph, policy, _network(graph, policy.spec.layers, policy.arrays, x))
    body = helper.make_graph(graph.nodes, "softrl_policy", values, [result], graph.constants)
    maker = {"producer_name": "softrl", "producer_version": __version__}
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, **maker)
    helper.set_model_props(model, about)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def _normalised(graph: Graph, policy: NumpyPolicy, name: str, moments: tuple[np.ndarray, np.ndarray] | None) -> str:
    x = name
    if moments is not None:
        mean, std = moments
        x = graph.add("Sub", x, graph.constant(f"{name}/mean", mean), out=f"{name}/centred")
        x = graph.add("Div", x, graph.constant(f"{name}/std", std), out=f"{name}/scaled")
        clip = np.float32(policy.spec.normalizer.clip)
        low, high = graph.constant(f"{name}/low", -clip), graph.constant(f"{name}/high", clip)
        x = graph.add("Clip", x, low, high, out=f"{name}/clipped")
    return graph.add("Flatten", x, out=f"{name}/flat", axis=1)


def _network(graph: Graph, layers: Layers, arrays: dict[str, np.ndarray], x: str, prefix: str = "policy") -> str:
    for name, layer in named(layers):
        out = f"{prefix}/{name}"
        of = partial(_parts, graph, arrays, out)
        match layer:
            case Dense():
                x = graph.add("Gemm", x, *of("kernel", "bias"), out=out)
            case LayerNorm(epsilon):
                x = graph.add("LayerNormalization", x, *of("scale", "bias"), out=out, epsilon=epsilon)
            case RMSNorm(epsilon):
                x = _rms_norm(graph, epsilon, x, *of("scale"), out=out)
            case BatchNorm(_, epsilon) | BatchRenorm(_, epsilon):
                x = graph.add("BatchNormalization", x, *of("scale", "bias", "mean", "var"), out=out, epsilon=epsilon)
            case Residual(inner):
                x = graph.add("Add", x, _network(graph, inner, arrays, x, out), out=out)
            case Activation(kind):
                x = _activation(graph, kind, x, out)
    return x


def _parts(graph: Graph, arrays: dict[str, np.ndarray], name: str, *parts: str) -> list[str]:
    return [graph.constant(f"{name}/{part}", arrays[f"{name}/{part}"]) for part in parts]


def _rms_norm(graph: Graph, epsilon: float, x: str, scale: str, *, out: str) -> str:
    """Spelled out: ONNX has an operator for it from operator set 23 on."""
    square = graph.add("Mul", x, x, out=f"{out}/square")
    mean = graph.add("ReduceMean", square, graph.constant(f"{out}/axes", np.int64([1])), out=f"{out}/mean_square")
    shifted = graph.add("Add", mean, graph.constant(f"{out}/epsilon", np.float32([epsilon])), out=f"{out}/shifted")
    x = graph.add("Div", x, graph.add("Sqrt", shifted, out=f"{out}/root"), out=f"{out}/scaled")
    return graph.add("Mul", x, scale, out=out)


def _head(graph: Graph, policy: NumpyPolicy, x: str) -> onnx.ValueInfoProto:
    """Adds the mode of the policy (a sampler's draw, by its noise) as the output `action`, and says what it is."""
    head = policy.spec.head
    if isinstance(head, Categorical):
        graph.add("ArgMax", x, out="action", axis=1, keepdims=0)
        return helper.make_tensor_value_info("action", TensorProto.INT64, ["batch"])
    if isinstance(head, Scalar):
        graph.add("Squeeze", x, graph.constant("axis", np.int64([1])), out="value")
        return helper.make_tensor_value_info("value", TensorProto.FLOAT, ["batch"])
    x = graph.add("Tanh", _pre_tanh(graph, head, x), out="unit_action")
    low, high = policy.arrays["action/low"], policy.arrays["action/high"]
    x = graph.add("Mul", x, graph.constant("action/half_range", 0.5 * (high - low)), out="scaled")
    graph.add("Add", x, graph.constant("action/middle", 0.5 * (high + low)), out="action")
    return helper.make_tensor_value_info("action", TensorProto.FLOAT, ["batch", head.size])


def _pre_tanh(graph: Graph, head: TanhGaussian | Sampler, x: str) -> str:
    if isinstance(head, Sampler):
        return graph.add("Add", x, NOISE, out="pre_tanh")
    columns = [graph.constant(name, np.int64([i])) for name, i in (("first", 0), ("last", head.size), ("axis", 1))]
    return graph.add("Slice", x, *columns, out="mean")


def _activation(graph: Graph, activation: str, x: str, out: str) -> str:
    if activation == "gelu":
        return graph.add("Gelu", x, out=out, approximate="tanh")
    if activation == "silu":
        return graph.add("Mul", x, graph.add("Sigmoid", x, out=f"{out}_sigmoid"), out=out)
    return graph.add(_ACTIVATIONS[activation], x, out=out)


def run(data: bytes, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """What onnxruntime on the CPU computes from the file for inputs by name, `[B, ...]`; zeros for noise not given."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    missing = [x for x in session.get_inputs() if x.name == NOISE and NOISE not in inputs]
    rows = len(next(iter(inputs.values())))
    return session.run(None, inputs | {x.name: np.zeros((rows, x.shape[1]), np.float32) for x in missing})[0]
