"""The value network's loss at a point where it can be written down."""

import jax
import jax.numpy as jnp
import numpy as np

from softrl import losses, soft
from tests.oracles import soft_losses as oracle


def test_the_value_error_is_the_tabulated_one():
    # The expectation over the policy as three rows, weighted afterwards: the loss itself sees the mean target.
    policy = np.float32(oracle.STATE_POLICY)
    samples = soft.sampled_value(jnp.float32(oracle.STATE_Q), jnp.log(policy), oracle.TEMPERATURE)
    target = (policy @ samples)[None]
    loss = losses.value(jnp.float32([oracle.STATE_VALUE]), target, jnp.ones(1))
    np.testing.assert_allclose(loss, oracle.VALUE_LOSS, rtol=1e-5)


def test_no_gradient_flows_into_the_critics():
    grad = jax.grad(lambda y: losses.value(jnp.ones(3), y, jnp.ones(3)))(jnp.zeros(3))
    np.testing.assert_array_equal(grad, 0.0)


def test_a_row_without_weight_reaches_neither_the_loss_nor_the_gradient():
    weight = jnp.float32([1.0, 0.0])
    loss, grad = jax.value_and_grad(lambda v: losses.value(v, jnp.zeros(2), weight))(jnp.float32([2.0, 1e4]))
    np.testing.assert_allclose(loss, 2.0)
    np.testing.assert_allclose(grad, [2.0, 0.0])
