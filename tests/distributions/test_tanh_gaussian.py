"""The tanh-Gaussian against double-precision quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softrl.distributions import tanh_gaussian
from softrl.distributions.tanh_gaussian import TanhGaussian
from tests.oracles import tanh_gaussian as oracle

means = st.floats(-6.0, 6.0, width=32)
log_stds = st.floats(-5.0, 2.0, width=32)
log_prob = jax.jit(tanh_gaussian.log_prob)
entropy = jax.jit(tanh_gaussian.entropy)
sample = jax.jit(tanh_gaussian.sample)
log_prob_and_gradients = jax.jit(jax.value_and_grad(tanh_gaussian.log_prob, argnums=(0, 1)))


def normal(mean, log_std) -> TanhGaussian:
    return TanhGaussian(np.float32([mean]), np.float32([log_std]))


def close_in_float32(got, expected, scale):
    """A handful of roundings of the greatest term in the sum."""
    np.testing.assert_allclose(got, expected, rtol=0, atol=8 * np.finfo(np.float32).eps * (np.abs(scale) + 4.0))


@pytest.mark.parametrize("u, log_det, expected", oracle.LOG_PROB)
def test_the_jacobian_stays_exact_where_tanh_has_saturated(u, log_det, expected):
    close_in_float32(tanh_gaussian.log_det(jnp.float32(u)), log_det, log_det)
    close_in_float32(log_prob(normal(0.0, 0.0), np.float32([u])), expected, 0.5 * u * u + abs(log_det))


@settings(max_examples=200)
@given(means, log_stds, st.floats(-8.0, 8.0, width=32))
def test_a_wrong_density_is_a_wrong_temperature(mean, log_std, z):
    std = np.exp(np.float64(log_std))
    u = np.float32(mean + std * z)
    expected = oracle.log_prob(np.float64(mean), std, np.float64(u))
    # z = (u − mean) / std amplifies the rounding of u and mean by 1 / std; z² doubles it.
    rounding = (abs(mean) + abs(u)) / std * abs(z) + z * z + abs(oracle.log_det(np.float64(u)))
    close_in_float32(log_prob(normal(mean, log_std), np.float32([u])), expected, rounding)


@settings(max_examples=60)
@given(means, log_stds)
def test_a_density_that_does_not_integrate_to_one_is_none(mean, log_std):
    dist = normal(mean, log_std)
    density = lambda u: log_prob(TanhGaussian(dist.mean[:, None], dist.log_std[:, None]), jnp.float32(u)[:, None])
    # Of float32 log-densities: z is off by eps (|mean| + |u|) / std, at |z| ~ 1.
    std = np.exp(np.float64(log_std))
    tolerance = 1e-5 + 2.0 * np.finfo(np.float32).eps * (2.0 * abs(mean) + 10.0 * std) / std
    assert abs(oracle.mass(density, np.float64(mean), std) - 1.0) < tolerance


@pytest.mark.parametrize("mean, std, expected, _mean_action, _variance", oracle.ENTROPY)
def test_entropy_agrees_with_the_table(mean, std, expected, _mean_action, _variance):
    # The documented quadrature error of 1e-5, and float32 on numbers up to 10.
    np.testing.assert_allclose(entropy(normal(mean, np.log(std))), expected, atol=2e-5)


@settings(max_examples=100)
@given(means, st.floats(-5.0, 0.69140625, width=32))
def test_a_wrong_entropy_misleads_the_temperature(mean, log_std):
    expected = oracle.entropy(np.float64(mean), np.exp(np.float64(log_std)))
    np.testing.assert_allclose(entropy(normal(mean, log_std)), expected, atol=2e-5, rtol=2e-6)


@settings(max_examples=50)
@given(means, log_stds)
def test_no_tanh_gaussian_has_more_entropy_than_the_ceiling_that_settings_are_checked_against(mean, log_std):
    assert oracle.entropy(np.float64(mean), np.exp(np.float64(log_std))) <= tanh_gaussian.SUPREMUM_ENTROPY + 1e-9


def test_the_ceiling_is_reached():
    supremum, std = oracle.SUPREMUM
    assert supremum == tanh_gaussian.SUPREMUM_ENTROPY
    np.testing.assert_allclose(entropy(normal(0.0, np.log(std))), supremum, atol=1e-6)


@pytest.mark.parametrize("std", oracle.STD_OF_ENTROPY_MINUS_ONE)
def test_both_stds_of_the_usual_target_entropy_have_it(std):
    # At std 2.9 the 128 nodes see the bend at u = 0 only coarsely: their documented range ends at 2.
    np.testing.assert_allclose(entropy(normal(0.0, np.log(std))), -1.0, atol=1e-4)


@settings(max_examples=100)
@given(st.lists(st.floats(-20.0, 20.0, width=32), min_size=4, max_size=4), means, log_stds)
def test_no_action_however_saturated_gives_a_gradient_that_is_not_a_number(us, mean, log_std):
    dist = TanhGaussian(np.full(4, mean, np.float32), np.full(4, log_std, np.float32))
    value, (grad_dist, grad_u) = log_prob_and_gradients(dist, np.float32(us))
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in (*grad_dist, grad_u))


@pytest.mark.parametrize("u", [-20.0, -9.0, -1.0, 0.0, 1.0, 9.0, 20.0])
def test_the_gradient_of_the_jacobian_does_not_vanish_with_saturation(u):
    # d/du log(1 − tanh²u) = −2 tanh u
    np.testing.assert_allclose(jax.grad(tanh_gaussian.log_det)(jnp.float32(u)), -2.0 * np.tanh(u), rtol=1e-6)


@pytest.mark.parametrize("mean", [-20.0, -3.0, 0.0, 20.0])
def test_gradients_through_a_sample_are_numbers(mean):
    def loss(dist):
        action, log_prob = tanh_gaussian.sample(jax.random.key(0), dist)
        return jnp.sum(action) + jnp.sum(log_prob)

    grads = jax.grad(loss)(TanhGaussian(jnp.full((64, 2), mean), jnp.zeros((64, 2))))
    assert all(np.isfinite(g).all() for g in grads)


@settings(max_examples=50)
@given(st.integers(0, 2**31 - 1), means, st.floats(-3.0, 1.0, width=32))
def test_a_sample_says_the_log_probability_of_the_action_that_it_gives(seed, mean, log_std):
    dist = TanhGaussian(np.full((16, 3), mean, np.float32), np.full((16, 3), log_std, np.float32))
    key = jax.random.key(seed)
    action, reported = sample(key, dist)
    pre_tanh = dist.mean + np.exp(dist.log_std) * np.asarray(jax.random.normal(key, (16, 3)))
    np.testing.assert_allclose(action, np.tanh(pre_tanh), rtol=1e-5, atol=1e-6)  # an eps of mean + std · noise ≤ 20
    # One way divides by std what the other never multiplied: |u| / std roundings of z, three dimensions.
    rounding = 3.0 * (np.abs(pre_tanh).max() / np.exp(log_std) * 5.0 + 40.0)
    close_in_float32(reported, log_prob(dist, pre_tanh), rounding)


@pytest.mark.parametrize("mean, std, expected, mean_action, variance", oracle.ENTROPY[:8])
def test_samples_are_distributed_as_the_density_says(mean, std, expected, mean_action, variance):
    count = 2**16
    dist = TanhGaussian(jnp.full((count, 1), mean), jnp.full((count, 1), jnp.log(jnp.float32(std))))
    action, reported = sample(jax.random.key(1), dist)
    action = np.asarray(action, np.float64)[:, 0]
    # Five standard errors of the mean; the log-density's spread is measured.
    assert abs(action.mean() - mean_action) < 5.0 * np.sqrt(variance / count)
    assert abs(-np.mean(reported) - expected) < 5.0 * np.std(reported) / np.sqrt(count)
    assert abs(action.var() / variance - 1.0) < 0.1  # heavy tails at mean 2, std 0.2 allow no closer look


@settings(max_examples=50)
@given(means, log_stds, st.floats(-10.0, 10.0, width=32))
def test_a_mirrored_distribution_has_the_mirrored_density_entropy_and_mode(mean, log_std, u):
    here, there = normal(mean, log_std), normal(-mean, log_std)
    np.testing.assert_array_equal(tanh_gaussian.mode(here), -tanh_gaussian.mode(there))
    np.testing.assert_allclose(
        log_prob(here, np.float32([u])), log_prob(there, np.float32([-u])), rtol=1e-5, atol=1e-4
    )  # log_det(u) and log_det(−u) round differently, by an eps of |u| ≤ 40
    np.testing.assert_allclose(entropy(here), entropy(there), rtol=1e-5, atol=1e-5)


def test_dimensions_are_independent():
    dist = TanhGaussian(jnp.asarray([0.5, -1.0, 2.0]), jnp.asarray([0.0, -1.0, 0.5]))
    u = jnp.asarray([0.3, -0.8, 1.0])
    alone = [TanhGaussian(dist.mean[i : i + 1], dist.log_std[i : i + 1]) for i in range(3)]
    np.testing.assert_allclose(
        log_prob(dist, u), sum(log_prob(d, u[i : i + 1]) for i, d in enumerate(alone)), rtol=1e-5
    )
    np.testing.assert_allclose(entropy(dist), sum(entropy(d) for d in alone), rtol=1e-5)


@pytest.mark.parametrize("sigma, size", [(0.15, 1), (0.15, 6), (1.0, 3)])
def test_a_target_given_by_sigma_is_the_entropy_of_that_gaussian(sigma, size):
    from scipy.stats import norm

    assert abs(tanh_gaussian.entropy_of_sigma(sigma, size) - size * norm(scale=sigma).entropy()) < 1e-12
