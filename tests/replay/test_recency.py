"""Age-weighted sampling in closed form against the integral by brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softrl.replay.recency import draw_age, finer
from tests.oracles.replay_model import recency_probabilities

POINTS = 2**14
UNIFORM = ((np.arange(POINTS) + 0.5) / POINTS).astype(np.float32)
draw = jax.jit(draw_age)


def drawn(ages: int, horizon: float, floor: float) -> np.ndarray:
    age = np.asarray(draw(UNIFORM, np.int32(ages), np.float32(horizon), np.float32(floor)))
    assert age.min() >= 0 and age.max() < ages
    assert (np.diff(age) >= 0).all(), "the inverse distribution function must not fall"
    return np.bincount(age, minlength=ages) / POINTS


@settings(max_examples=100)
@given(st.integers(1, 300), st.floats(0.5, 2000.0) | st.just(np.inf), st.floats(0.01, 1.0))
def test_a_wrong_inverse_draws_old_experience_as_often_as_new(ages, horizon, floor):
    # Each age's share of an even grid is off by a point at either end; float32 moves an edge by another.
    expected = recency_probabilities(ages, horizon, floor)
    np.testing.assert_allclose(drawn(ages, horizon, floor), expected, atol=4.0 / POINTS)


@pytest.mark.parametrize("horizon, floor", [(np.inf, 0.1), (np.inf, 1.0), (10.0, 1.0)])
def test_without_a_horizon_or_with_a_floor_of_one_every_age_is_as_likely(horizon, floor):
    np.testing.assert_allclose(drawn(64, horizon, floor), 1.0 / 64, atol=2.0 / POINTS)


def test_the_first_and_the_last_age_can_be_drawn():
    edges = np.float32([0.0, 1.0 - 2.0**-24])
    for horizon, floor in ((np.inf, 0.1), (20.0, 0.1), (1e6, 0.5)):
        np.testing.assert_array_equal(draw(edges, np.int32(100), np.float32(horizon), np.float32(floor)), [0, 99])


def test_a_single_age_is_always_drawn():
    np.testing.assert_array_equal(drawn(1, 0.5, 0.1), [1.0])


def test_a_replay_of_many_millions_of_rows_gives_every_one_of_them():
    """A float32 number in [0, 1) has 24 bits: of 2²⁶ rows only every eighth would ever be drawn."""
    most = 1 << 26
    key, ages = jax.random.key(0), jnp.int32(most)
    coarse = draw(jax.random.uniform(key, (1 << 14,)), ages, jnp.float32(jnp.inf), jnp.float32(0.1))
    fine = finer(jax.random.key(1), coarse, ages, most)
    assert len(np.unique(coarse % 8)) == 1 and int(fine.max()) < most
    assert np.bincount(fine % 8, minlength=8).min() > 0.9 * (1 << 14) / 8
    assert np.abs(fine // 64 - coarse // 64).max() <= 1
    assert finer(key, coarse, ages, 1 << 23) is coarse
