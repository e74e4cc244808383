"""What flax builds from a tuple of layers, against matrix products written out, NumPy and onnxruntime."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softrl import layers, networks, numpy_network
from softrl.export import onnx as onnx_file
from softrl.layers import Activation, Dense, LayerNorm, perceptron
from softrl.numpy_network import TanhGaussian
from softrl.numpy_policy import Input, NumpyPolicy, PolicySpec


def by_hand(params: dict, x: np.ndarray, depth: int, activation: str, layer_norm: bool) -> np.ndarray:
    parts = params["params"]
    for i in range(depth):
        x = x @ parts[f"Dense_{i}"]["kernel"] + parts[f"Dense_{i}"]["bias"]
        if layer_norm:
            norm = parts[f"LayerNorm_{i}"]
            x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
            x = x * norm["scale"] + norm["bias"]
        x = {"relu": lambda x: np.maximum(x, 0.0), "tanh": np.tanh}[activation](x)
    head = parts[f"Dense_{depth}"]
    return x @ head["kernel"] + head["bias"]


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_field_that_does_not_reach_the_network_is_a_lie(layer_norm, depth, activation):
    net = networks.network(perceptron([8] * depth, 2, activation=activation, layer_norm=layer_norm), 3)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    params, batch_stats = jax.jit(net.init)(jax.random.key(0))
    assert batch_stats == ()
    expected = by_hand(jax.device_get(params), x, depth, activation, layer_norm)
    # Sums of at most eight float32 products of order one.
    np.testing.assert_allclose(jax.jit(net.apply)(params, (), x)[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", networks.ACTIVATIONS)
def test_every_activation_that_can_be_asked_for_exists_and_is_not_linear(activation):
    assert set(networks.ACTIVATIONS) == set(numpy_network.ACTIVATIONS)
    net = networks.network(perceptron([16], 1, activation=activation), 1)
    params, _ = jax.jit(net.init)(jax.random.key(0))
    y = np.asarray(jax.jit(net.apply)(params, (), jnp.linspace(-1.0, 3.0, 9)[:, None])[0])[:, 0]
    assert np.abs(np.diff(y, 2)).max() > 1e-3


def test_a_small_head_starts_small():
    nets = [networks.network(perceptron([64], 4, head_scale=scale), 3) for scale in (1.0, 0.01)]
    big, small = (jax.jit(net.init)(jax.random.key(0))[0]["params"]["Dense_1"]["kernel"] for net in nets)
    np.testing.assert_allclose(small, 0.1 * big, rtol=1e-5)  # variance scales by 0.01


def test_other_names_of_parameters_would_be_other_random_numbers_and_make_old_checkpoints_unreadable():
    net = networks.network(perceptron([4, 5], 2, layer_norm=True), 3)
    params, _ = jax.eval_shape(net.init, jax.random.key(0))
    paths = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in jax.tree.leaves_with_path(params)]
    dense = [f"params/Dense_{i}/{part}" for i in range(3) for part in ("bias", "kernel")]
    assert paths == dense + [f"params/LayerNorm_{i}/{part}" for i in range(2) for part in ("bias", "scale")]


@st.composite
def any_layers(draw) -> tuple:
    """Up to six layers of any kind; widths of which LayerNorm is well conditioned."""
    made = []
    for kind in draw(st.lists(st.sampled_from(["dense", "norm", "activation"]), max_size=6)):
        if kind == "dense":
            made.append(Dense(draw(st.integers(4, 9))))
        elif kind == "norm":
            made.append(LayerNorm(draw(st.sampled_from([1e-6, 1e-2]))))
        else:
            made.append(Activation(draw(st.sampled_from(sorted(networks.ACTIVATIONS)))))
    return tuple(made)


@settings(max_examples=25)
@given(any_layers(), st.integers(0, 2**31 - 1))
def test_a_tuple_of_layers_is_one_function_to_flax_numpy_and_onnx(body, seed):
    rng, made = np.random.default_rng(seed), (*body, Dense(4))
    net = networks.network(made, 5)
    known, out = layers.shapes(made, 5)
    arrays = {name: np.float32(rng.normal(size=shape) / np.sqrt(shape[0])) for name, shape in known.items()}
    params = jax.tree_util.tree_map_with_path(
        lambda path, _: arrays[jax.tree_util.keystr(path, simple=True, separator="/")],
        jax.eval_shape(net.init, jax.random.key(0))[0]["params"],
    )
    assert len(jax.tree.leaves(params)) == len(arrays) and out == 4
    x = rng.normal(size=(6, 5)).astype(np.float32)
    flax = np.asarray(net.apply({"params": params}, (), x)[0])
    ours = numpy_network.run(numpy_network.steps(made, arrays), x)
    np.testing.assert_allclose(ours, flax, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(flax).max()))
    arrays = {f"policy/{name}": value for name, value in arrays.items()}
    spec = PolicySpec((Input((), (5,)),), made, TanhGaussian(2, -5.0, 2.0), None)
    arrays |= {"action/low": -np.ones(2, np.float32), "action/high": np.ones(2, np.float32)}
    theirs = onnx_file.run(onnx_file.serialize(NumpyPolicy(spec, arrays), {}), {"obs": x})
    np.testing.assert_allclose(theirs, np.tanh(flax[:, :2]), rtol=1e-5, atol=1e-5 * max(1.0, np.abs(flax).max()))
