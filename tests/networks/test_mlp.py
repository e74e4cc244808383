"""The perceptron against matrix products written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl.networks.mlp import ACTIVATIONS, MLP, Torso


def by_hand(params: dict, x: np.ndarray, torso: Torso) -> np.ndarray:
    layers = params["params"]
    for i in range(torso.depth):
        x = x @ layers[f"Dense_{i}"]["kernel"] + layers[f"Dense_{i}"]["bias"]
        if torso.layer_norm:
            norm = layers[f"LayerNorm_{i}"]
            x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
            x = x * norm["scale"] + norm["bias"]
        x = np.asarray(ACTIVATIONS[torso.activation](jnp.asarray(x)))
    head = layers[f"Dense_{torso.depth}"]
    return x @ head["kernel"] + head["bias"]


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_field_that_does_not_reach_the_network_is_a_lie(layer_norm, depth, activation):
    torso = Torso(8, depth, activation, layer_norm)
    module = MLP(torso, 2)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    params = jax.jit(module.init)(jax.random.key(0), x)
    # Sums of at most eight float32 products of order one.
    np.testing.assert_allclose(
        jax.jit(module.apply)(params, x), by_hand(jax.device_get(params), x, torso), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_that_can_be_asked_for_exists_and_is_not_linear(activation):
    module = MLP(Torso(16, 1, activation, layer_norm=False), 1)
    params = jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, 1)))
    y = np.asarray(jax.jit(module.apply)(params, jnp.linspace(-1.0, 3.0, 9)[:, None]))[:, 0]
    assert np.abs(np.diff(y, 2)).max() > 1e-3


def test_a_small_head_starts_small():
    big, small = (MLP(Torso(64, 1), 4, head_scale=scale) for scale in (1.0, 0.01))
    kernels = [
        jax.jit(m.init)(jax.random.key(0), jnp.zeros((1, 3)))["params"]["Dense_1"]["kernel"] for m in (big, small)
    ]
    np.testing.assert_allclose(kernels[1], 0.1 * kernels[0], rtol=1e-5)  # variance scales by 0.01
