"""What a network sees of an observation: the same, in the same order, with and without JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl.agents import observations
from softrl.errors import ExportError
from softrl.layers import Dense
from softrl.numpy_network import Categorical
from softrl.numpy_policy import NumpyPolicy, PolicySpec

SHAPES = {"b": (2, 2), "a/c": (3,), "a": {"z": (), "y": (1,)}, "t": ((2,), (1,))}


@pytest.mark.parametrize("part", [None, *SHAPES])
def test_an_order_that_differs_between_the_device_and_the_host_would_be_another_policy(part):
    is_shape = lambda x: isinstance(x, tuple) and all(isinstance(size, int) for size in x)
    spec = jax.tree.map(lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32), SHAPES, is_leaf=is_shape)
    rng = np.random.default_rng(0)
    obs = jax.tree.map(lambda leaf: rng.normal(size=(4, *leaf.shape)).astype(np.float32), spec)
    inputs, size = observations.inputs(spec, part), observations.size(spec, part)
    layers, eye = (Dense(size),), np.eye(size, dtype=np.float32)
    arrays = {"policy/Dense_0/kernel": eye, "policy/Dense_0/bias": np.zeros(size, np.float32)}
    policy = NumpyPolicy(PolicySpec(inputs, layers, Categorical(size), None), arrays)
    expected = observations.joined(obs, part)
    assert expected.shape == (4, size)
    np.testing.assert_array_equal(policy.act(obs), np.argmax(expected, axis=-1))
    np.testing.assert_array_equal(policy(obs), np.argmax(expected, axis=-1))


def test_observations_that_a_file_cannot_name_are_refused():
    one = jax.ShapeDtypeStruct((1,), jnp.float32)
    with pytest.raises(ExportError, match="one name: a/b, a/b"):
        observations.inputs({"a": {"b": one}, "a/b": one}, None)
    with pytest.raises(ExportError, match="arrays"):
        observations.inputs({1.5: one}, None)
    assert [entry.name for entry in observations.inputs(one, None)] == ["obs"]
