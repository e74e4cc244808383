"""The policy's loss: tabulated values, the right minimiser, gradients only where they belong."""

import jax
import jax.numpy as jnp
import numpy as np

from softrl import losses
from tests.oracles import soft_losses as oracle


def expected_loss(logits: jax.Array) -> jax.Array:
    """The loss with the expectation over four actions exact: weights are the policy's probabilities."""
    log_policy = jax.nn.log_softmax(logits)
    rows = jax.vmap(lambda q, log_prob: losses.policy(q[None], log_prob[None], jnp.ones(1), temperature=alpha))
    alpha = jnp.float32(oracle.TEMPERATURE)
    return jnp.exp(log_policy) @ rows(jnp.float32(oracle.Q), log_policy)


def test_the_loss_and_its_gradient_are_the_tabulated_ones():
    loss, grad = jax.value_and_grad(expected_loss)(jnp.float32(oracle.LOGITS))
    np.testing.assert_allclose(loss, oracle.ACTOR_LOSS, rtol=1e-5)
    np.testing.assert_allclose(grad, oracle.ACTOR_GRADIENT, atol=1e-6)


def test_the_minimiser_is_the_boltzmann_policy_and_its_loss_minus_the_soft_value():
    best = jnp.float32(oracle.Q / oracle.TEMPERATURE)
    loss, grad = jax.value_and_grad(expected_loss)(best)
    np.testing.assert_allclose(loss, oracle.BEST_ACTOR_LOSS, rtol=1e-6)
    np.testing.assert_allclose(grad, 0.0, atol=1e-6)


def test_the_v1_policy_loss_is_the_tabulated_one():
    policy = np.float32(oracle.STATE_POLICY)
    weight = jnp.asarray(policy)  # probabilities as weights: they sum to 1
    loss = losses.policy(jnp.float32(oracle.STATE_Q), jnp.log(policy), weight, temperature=jnp.float32(0.3))
    np.testing.assert_allclose(loss, oracle.POLICY_LOSS, rtol=1e-5)


def test_the_policy_does_not_teach_the_temperature():
    grad = jax.grad(lambda a: losses.policy(jnp.ones(3), jnp.ones(3), jnp.ones(3), temperature=a))(jnp.float32(0.5))
    assert grad == 0.0


def test_a_prior_replaces_the_base_measure():
    q, log_prob, prior = (jnp.float32(x) for x in ([1.0, 2.0], [0.5, -0.5], [-1.0, -2.0]))
    loss = losses.policy(q, log_prob, jnp.ones(2), temperature=jnp.float32(0.1), log_prior=prior)
    np.testing.assert_allclose(loss, -np.mean([1.0 - 0.1 * 1.5, 2.0 - 0.1 * 1.5]), rtol=1e-6)


def test_a_row_without_weight_reaches_neither_the_loss_nor_the_gradient():
    weight = jnp.float32([1.0, 0.0])
    loss = lambda q: losses.policy(q, jnp.zeros(2), weight, temperature=jnp.float32(0.1))
    value, grad = jax.value_and_grad(loss)(jnp.float32([2.0, 1e6]))
    assert value == -2.0
    np.testing.assert_array_equal(grad, [-1.0, 0.0])
