"""The categorical distribution against its definition in NumPy, in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from softrl.distributions import categorical
from softrl.distributions.categorical import Categorical

rows = st.lists(st.floats(-30.0, 30.0, width=32), min_size=3, max_size=3)
log_prob, entropy = jax.jit(categorical.log_prob), jax.jit(categorical.entropy)


def log_probs(logits) -> np.ndarray:
    logits = np.asarray(logits, np.float64)
    return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()


@settings(max_examples=50)
@given(rows, st.integers(0, 2))
def test_probability_and_entropy_are_those_of_the_definition(logits, action):
    dist, expected = Categorical(jnp.float32(logits)), log_probs(np.float32(logits))
    # A few roundings of float32 at magnitudes of up to 60.
    np.testing.assert_allclose(log_prob(dist, jnp.int32(action)), expected[action], rtol=1e-6, atol=2e-5)
    np.testing.assert_allclose(entropy(dist), -(np.exp(expected) * expected).sum(), rtol=1e-4, atol=2e-5)
    assert categorical.mode(dist) == np.argmax(np.float32(logits))


def test_an_action_that_cannot_be_adds_no_entropy_and_no_gradient_that_is_not_a_number():
    dist = Categorical(jnp.float32([0.0, -jnp.inf, 0.0]))
    np.testing.assert_allclose(categorical.entropy(dist), np.log(2.0), rtol=1e-6)
    grad = jax.grad(lambda logits: categorical.entropy(Categorical(logits)))(dist.logits)
    np.testing.assert_allclose(grad, 0.0, atol=1e-6)


def test_samples_come_as_often_as_their_log_probability_says():
    count, logits = 20_000, np.float32([[0.0, 1.0, -1.0], [2.0, 0.0, 0.0]])
    dist = Categorical(jnp.broadcast_to(logits, (count, 2, 3)))
    action, told = jax.jit(categorical.sample)(jax.random.key(0), dist)
    assert action.shape == told.shape == (count, 2) and action.dtype == jnp.int32
    np.testing.assert_allclose(told, categorical.log_prob(dist, action))
    for column in range(2):
        expected = np.exp(log_probs(logits[column]))
        shares = np.bincount(np.asarray(action[:, column]), minlength=3) / count
        # Five standard errors of a share.
        np.testing.assert_array_less(np.abs(shares - expected), 5 * np.sqrt(expected * (1 - expected) / count))


def test_leading_axes_are_a_batch():
    logits = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
    dist, action = Categorical(logits), np.random.default_rng(1).integers(0, 3, (4, 5))
    assert categorical.mode(dist).shape == categorical.entropy(dist).shape == (4, 5)
    expected = np.take_along_axis(np.apply_along_axis(log_probs, -1, logits), action[..., None], -1)[..., 0]
    np.testing.assert_allclose(categorical.log_prob(dist, action), expected, rtol=1e-5, atol=1e-6)
