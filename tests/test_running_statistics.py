"""Running mean and variance: of valid rows only, the same however the rows are split, alive at any count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softrl import running_statistics
from softrl.layers import Normalizer
from softrl.running_statistics import SATURATION

OBS = jax.ShapeDtypeStruct((3,), jnp.float32)
update = jax.jit(running_statistics.update)


def rows(seed: int, count: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (generator.normal(size=(count, 3)) * [0.1, 3.0, 50.0] + [5.0, -1.0, 100.0]).astype(np.float32)


def fed(x: np.ndarray, valid: np.ndarray, size: int) -> running_statistics.Statistics:
    """Statistics after `x` in vector steps of `size` rows; the last one is filled up with invalid NaN rows."""
    state = running_statistics.init(OBS)
    for start in range(0, len(x), size):
        chunk, mask = x[start : start + size], valid[start : start + size]
        gap = size - len(chunk)
        chunk, mask = np.pad(chunk, ((0, gap), (0, 0)), constant_values=np.nan), np.pad(mask, (0, gap))
        state = update(state, jnp.asarray(chunk), jnp.asarray(mask))
    return state


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 60), st.sampled_from([1, 7, 32]), st.randoms(use_true_random=False))
def test_rows_that_are_not_valid_may_hold_anything_and_the_rest_adds_up_however_it_is_split(seed, count, size, random):
    x = rows(seed, count)
    valid = np.array([random.random() < 0.7 for _ in range(count)])
    poisoned = np.where(valid[:, None], x, random.choice([np.nan, np.inf, -np.inf]))
    state = fed(poisoned, valid, size)
    kept = x[valid].astype(np.float64)
    assert float(state.count) == valid.sum()
    if valid.any():
        # float32 sums of numbers near 100 with spread 50: a few units of 1e-7 · 100, and twice that in the square.
        np.testing.assert_allclose(state.mean, kept.mean(0), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(state.variance, kept.var(0), rtol=1e-3, atol=1e-3)
    else:
        np.testing.assert_array_equal(state.mean, np.zeros(3))
        np.testing.assert_array_equal(state.variance, np.ones(3))


def test_a_step_without_valid_rows_changes_nothing():
    state = fed(rows(0, 20), np.ones(20, bool), 10)
    after = update(state, jnp.full((10, 3), jnp.nan), jnp.zeros(10, bool))
    jax.tree.map(np.testing.assert_array_equal, after, state)


def test_a_count_without_end_would_freeze_the_statistics_of_a_long_run():
    state = running_statistics.init(OBS)._replace(count=jnp.float32(SATURATION))
    for _ in range(3):
        state = update(state, jnp.full((10**4, 3), 2.0), jnp.ones(10**4, bool))
    assert float(state.count) == SATURATION
    # Each step moves the mean by its share, 10⁴ / (10⁷ + 10⁴), of the way to 2.
    expected = 2.0 * (1.0 - (1.0 - 1e4 / (SATURATION + 1e4)) ** 3)
    np.testing.assert_allclose(state.mean, expected, rtol=1e-4)  # float32 adds 2e-3 to 0 three times


def test_the_count_saturates_where_float32_can_still_add_one():
    assert np.float32(SATURATION) + np.float32(1.0) > np.float32(SATURATION)


def test_statistics_of_nothing_leave_an_observation_as_it_is():
    x = jnp.asarray([[1.0, -2.0, 3.0]])
    # √(1 + 10⁻⁶) is the only difference.
    np.testing.assert_allclose(running_statistics.normalize(running_statistics.init(OBS), x), x, rtol=1e-6)


def test_normalised_observations_have_no_scale_of_their_own():
    x = rows(1, 4000)
    scaled = np.asarray(running_statistics.normalize(fed(x, np.ones(4000, bool), 500), jnp.asarray(x)))
    # The floor of 10⁻⁶ under a variance of 0.01 is 5e-5 of its root.
    np.testing.assert_allclose(scaled.mean(0), 0.0, atol=1e-3)
    np.testing.assert_allclose(scaled.std(0), 1.0, atol=1e-3)


def test_an_outlier_is_clipped_before_it_reaches_a_network():
    scaled = running_statistics.normalize(
        running_statistics.init(OBS), jnp.asarray([[1e30, -1e30, 0.0]]), Normalizer(clip=4.0)
    )
    np.testing.assert_array_equal(scaled, [[4.0, -4.0, 0.0]])


def test_a_constant_observation_does_not_divide_by_zero():
    state = fed(np.full((50, 3), 7.0, np.float32), np.ones(50, bool), 10)
    assert np.isfinite(running_statistics.normalize(state, jnp.full((2, 3), 7.0))).all()


@pytest.mark.parametrize("batch", [(), (5,), (2, 5)])
def test_every_leaf_of_a_dictionary_observation_is_scaled_for_itself(batch):
    spec = {"eye": jax.ShapeDtypeStruct((2, 2), jnp.float32), "ear": jax.ShapeDtypeStruct((), jnp.float32)}
    state = running_statistics.init(spec)
    obs = {"eye": jnp.full((10, 2, 2), 3.0), "ear": jnp.arange(10.0)}
    state = running_statistics.update(state, obs, jnp.ones(10, bool))
    np.testing.assert_allclose(state.mean["eye"], 3.0)
    np.testing.assert_allclose(state.mean["ear"], 4.5)
    one = {"eye": jnp.full((*batch, 2, 2), 3.0), "ear": jnp.full(batch, 4.5)}
    scaled = running_statistics.normalize(state, one)
    assert scaled["eye"].shape == (*batch, 2, 2) and scaled["ear"].shape == batch
    np.testing.assert_allclose(scaled["ear"], 0.0, atol=1e-6)


@pytest.mark.parametrize("huge", [1e20, 1e38, float(np.finfo(np.float32).max), -1e38])
def test_a_sensor_that_sees_nothing_poisons_neither_the_statistics_nor_what_is_normalised(huge):
    """Range finders report 1e20 or float32's greatest number for "nothing there"; the square of either is infinite."""
    obs = jnp.float32([[0.5, huge], [1.5, 1.0], [1.0, huge]])
    seen = running_statistics.init(jax.ShapeDtypeStruct((2,), jnp.float32))
    for _ in range(3):
        seen = running_statistics.update(seen, obs, jnp.ones(3, bool))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(seen))
    np.testing.assert_allclose(seen.mean[0], 1.0, rtol=1e-6)
    normal = np.asarray(running_statistics.normalize(seen, obs))
    assert np.isfinite(normal).all() and np.abs(normal).max() <= 10.0
