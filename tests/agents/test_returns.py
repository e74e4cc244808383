"""The size of returns, by which rewards are scaled: finite and right whatever is paid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl.agents import returns
from softrl.types import Transition

GAMMA, BOUND, COUNT = 0.9, 5.0, 3


def steps(reward, *, terminated=None, truncated=None, valid=None) -> Transition:
    """Time-major rows `[T, N]`."""
    reward = jnp.asarray(reward, jnp.float32)
    no = jnp.zeros(reward.shape, bool)
    flags = [no if flag is None else jnp.asarray(flag) for flag in (terminated, truncated)]
    return Transition((), (), reward, *flags, (), ~no if valid is None else jnp.asarray(valid))


@jax.jit
def observed(rows: Transition) -> tuple[returns.ReturnStatistics, jax.Array]:
    step = lambda carry, row: (returns.observe(*carry, row, jnp.float32(GAMMA)), None)
    return jax.lax.scan(step, (returns.init(), jnp.zeros(rows.reward.shape[1])), rows)[0]


def test_the_scale_is_of_discounted_returns_within_episodes():
    generator = np.random.default_rng(0)
    reward = generator.normal(1.0, 2.0, (50, COUNT))
    terminated, truncated = generator.random((2, 50, COUNT)) < 0.05
    valid = generator.random((50, COUNT)) > 0.05
    seen, running = [], np.zeros(COUNT)
    for t in range(50):
        running = GAMMA * running + np.where(valid[t], reward[t], 0.0)
        seen += list(running[valid[t]])
        running = np.where(terminated[t] | truncated[t] | ~valid[t], 0.0, running)
    found, carried = observed(steps(reward, terminated=terminated, truncated=truncated, valid=valid))
    np.testing.assert_allclose(carried, running, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.largest, np.abs(seen).max(), rtol=1e-5)
    np.testing.assert_allclose(found.moments.variance, np.var(seen), rtol=1e-4)
    expected = max(np.std(seen), np.abs(seen).max() / BOUND)
    np.testing.assert_allclose(returns.scale(found, jnp.float32(BOUND)), expected, rtol=1e-4)


@pytest.mark.parametrize(
    "paid",
    [0.0, 1e6, -1e6, 1e38, np.inf, np.nan, "sparse", "outlier"],
)
def test_no_reward_makes_a_scale_that_spoils_learning_for_good(paid):
    reward = np.zeros((40, COUNT), np.float32)
    if paid == "sparse":
        reward[30, 1] = 1.0
    elif paid == "outlier":
        reward[:] = 0.1
        reward[7, 0] = 1e6
    else:
        reward[:] = paid
    # What physics spoiled is marked, and counts for nothing.
    found, running = observed(steps(reward, valid=np.isfinite(reward)))
    scale = float(returns.scale(found, jnp.float32(BOUND)))
    assert np.isfinite(scale) and scale > 0.0
    assert np.isfinite(running).all()
    assert float(found.largest) <= BOUND * scale * (1.0 + 1e-6)


def test_before_any_reward_nothing_is_scaled():
    assert float(returns.scale(returns.init(), jnp.float32(BOUND))) == 1.0
    nothing, _ = observed(steps(np.zeros((40, COUNT), np.float32)))  # a sparse task's start: no division by nothing
    assert float(returns.scale(nothing, jnp.float32(BOUND))) == 1.0
