"""The critics' loss at points where it can be written down."""

import jax
import jax.numpy as jnp
import numpy as np

from softrl import losses, soft
from tests.oracles import soft_losses as oracle

WEIGHT = jnp.ones(3)


def test_the_soft_bellman_error_is_the_tabulated_one():
    target = soft.backup(jnp.float32([oracle.REWARD]), jnp.float32([oracle.GAMMA]), jnp.float32([oracle.NEXT_VALUE]))
    q = jnp.float32([[oracle.STATE_Q[oracle.ACTION]]])
    loss, td_error = losses.critic(q, target, jnp.ones(1))
    np.testing.assert_allclose(loss, oracle.CRITIC_LOSS, rtol=1e-5)
    np.testing.assert_allclose(td_error, [[1.2 - (-0.1 + 0.99 * 0.9)]], rtol=1e-5)


def test_errors_of_an_ensemble_add_up_and_rows_average():
    q = jnp.float32([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    loss, td_error = losses.critic(q, jnp.float32([0.0, 1.0, 1.0]), WEIGHT)
    # Critic 1: ½ (1 + 1 + 4) / 3; critic 2: ½ (0 + 1 + 1) / 3.
    np.testing.assert_allclose(loss, 1.0 + 1.0 / 3.0, rtol=1e-6)
    np.testing.assert_array_equal(td_error, [[1.0, 1.0, 2.0], [0.0, -1.0, -1.0]])


def test_a_gradient_through_the_target_would_pull_the_future_to_the_present():
    grad = jax.grad(lambda y: losses.critic(jnp.ones((2, 3)), y, WEIGHT)[0])(jnp.zeros(3))
    np.testing.assert_array_equal(grad, 0.0)


def test_a_row_without_weight_reaches_neither_the_loss_nor_the_gradient():
    q = jnp.float32([[1.0, 5e3, 3.0]])
    weight = jnp.float32([1.0, 0.0, 1.0])
    (loss, _), grad = jax.value_and_grad(lambda q: losses.critic(q, jnp.zeros(3), weight), has_aux=True)(q)
    np.testing.assert_allclose(loss, 0.5 * (1.0 + 9.0) / 2.0, rtol=1e-6)
    np.testing.assert_allclose(grad, [[0.5, 0.0, 1.5]], rtol=1e-6)


def test_a_batch_without_any_weight_is_no_error_and_no_division_by_zero():
    loss, grad = jax.value_and_grad(lambda q: losses.critic(q, jnp.zeros(3), jnp.zeros(3))[0])(jnp.ones((2, 3)))
    assert loss == 0.0
    np.testing.assert_array_equal(grad, 0.0)
