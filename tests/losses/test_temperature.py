"""The temperature's dual: its gradient, its fixed point, and what it leaves alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl import losses
from tests.oracles import soft_losses as oracle

WEIGHT = jnp.ones(2)


def dual(log_temperature, log_prob, target, weight=WEIGHT):
    return losses.temperature(log_temperature, log_prob, weight, target_entropy=target)


def test_the_gradient_is_the_temperature_times_the_entropy_in_excess():
    log_temperature = jnp.log(jnp.float32(0.4))
    grad = jax.grad(dual)(log_temperature, jnp.float32([1.0, 2.0]), jnp.float32(-1.0))
    np.testing.assert_allclose(grad, 0.4 * (-1.5 + 1.0), rtol=1e-6)


def test_the_gradient_of_the_other_loss_does_not_fade_with_the_temperature():
    for temperature in (1e-3, 0.4, 10.0):
        loss = lambda x: losses.log_temperature(x, jnp.float32([1.0, 2.0]), WEIGHT, target_entropy=jnp.float32(-1.0))
        np.testing.assert_allclose(jax.grad(loss)(jnp.log(jnp.float32(temperature))), -1.5 + 1.0, rtol=1e-6)


def test_a_wrong_sign_makes_a_policy_ever_more_random_or_ever_more_certain():
    too_certain = jax.grad(dual)(jnp.float32(0.0), jnp.float32([3.0, 3.0]), jnp.float32(-1.0))
    too_random = jax.grad(dual)(jnp.float32(0.0), jnp.float32([-0.5, -0.5]), jnp.float32(-1.0))
    assert too_certain < 0.0 < too_random  # descent raises the temperature of the first


@pytest.mark.parametrize("entropy, temperature", oracle.TEMPERATURE_OF_ENTROPY.items())
def test_the_dual_rests_where_the_boltzmann_policy_has_the_target_entropy(entropy, temperature):
    def slope(temperature):
        log_policy = jax.nn.log_softmax(jnp.float32(oracle.Q) / temperature)
        log_prob = (jnp.exp(log_policy) @ log_policy)[None]  # its mean over the policy
        return jax.grad(dual)(jnp.log(temperature), log_prob, jnp.float32(entropy), jnp.ones(1))

    assert abs(slope(jnp.float32(temperature))) < 1e-6 * temperature + 1e-6
    assert slope(jnp.float32(0.9 * temperature)) < 0.0 < slope(jnp.float32(1.1 * temperature))


def test_the_temperature_does_not_teach_the_policy():
    grad = jax.grad(dual, argnums=1)(jnp.float32(0.0), jnp.float32([1.0, 2.0]), jnp.float32(-1.0))
    np.testing.assert_array_equal(grad, 0.0)


def test_a_row_without_weight_does_not_count_as_entropy():
    log_prob, weight = jnp.float32([1.0, 1e6]), jnp.float32([1.0, 0.0])
    assert dual(jnp.float32(0.0), log_prob, jnp.float32(-1.0), weight) == 0.0
