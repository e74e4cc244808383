"""Probe environments, and whether the whole learner finds their known answers.

Temperature is fixed at 10⁻³ reward units and policies have a std of 0.6 to 1.6 before the tanh, so that all actions are
visited, and entropy (−0.1 to 0.68 nats near mean 0) moves no value below by more than 10⁻³ · 0.7 / (1 − γ) = 0.007.
"""

import jax
import numpy as np
import pytest

from softrl.envs import EnvConfig, make_env
from softrl.envs.probes import PROBES
from tests import tiny

GAMMA = 0.9
FOR_EVER = 1.0 / (1.0 - GAMMA)
TO_DEATH = np.array([1.0 + GAMMA + GAMMA**2, 1.0 + GAMMA, 1.0])[:, None]
ACTIONS = [-0.5, 0.0, 0.5]
TOLERANCE = 0.05
"""Measured after as many updates: 0.03 at most, at the rarest observation; a wrong answer is off by 0.1 to 7."""
LEARNER = {
    "gamma": GAMMA,
    "temperature": 1e-3,
    "auto_temperature": False,
    "tau": 0.05,
    "policy_lr": 3e-3,
    "critic_lr": 3e-3,
    "activation": "tanh",
    "log_std_min": -0.5,
    "log_std_max": 0.5,
    "updates_per_step": 8,
    "chunk_steps": 128,
    "episode_length": 20,
}


def values(env: str, obs: list[float], actions: list[float], *, chunks: int = 4, **changes) -> tiny.Learned:
    """What a tiny soft actor-critic believes after 128 · 8 updates a chunk."""
    trial = tiny.trained(tiny.config(env=f"probe/{env}", **{**LEARNER, **changes}), chunks)
    agent = tiny.member(trial.run.learner.agent, 0)
    return tiny.learned(trial.assembled, agent, np.reshape(obs, (-1, 1)), np.reshape(actions, (-1, 1)))


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_resets_steps_and_stays_in_its_spec(name):
    env = make_env(EnvConfig(env=f"probe/{name}", num_envs=4, episode_length=5))
    state = jax.jit(env.reset)(jax.random.key(0))
    step = jax.jit(env.step)
    for _ in range(6):
        state = step(state, np.zeros((4, *env.spec.action.shape), env.spec.action.dtype))
        assert state.obs.shape == (4, *env.spec.obs.shape) and state.obs.dtype == env.spec.obs.dtype
        assert np.isfinite(state.obs).all() and np.isfinite(state.reward).all()


@pytest.mark.slow
def test_a_reward_that_never_ends_is_worth_one_over_one_minus_gamma():
    q = values("constant-reward", [0.0], ACTIONS).q
    np.testing.assert_allclose(q, FOR_EVER, atol=TOLERANCE)


@pytest.mark.slow
def test_a_reward_one_step_away_is_worth_gamma():
    q = values("two-step-discount", [0.0, 1.0], ACTIONS).q
    np.testing.assert_allclose(q[:, 0], GAMMA, atol=TOLERANCE)
    np.testing.assert_allclose(q[:, 1], 1.0, atol=TOLERANCE)


@pytest.mark.slow
def test_the_best_action_is_found():
    # A policy that may be as certain as it likes: a wide one would aim elsewhere.
    found = values("action-reward", [0.0], [0.5], log_std_min=-4.0)
    np.testing.assert_allclose(np.tanh(found.mean), 0.5, atol=TOLERANCE)
    np.testing.assert_allclose(found.q, 0.0, atol=TOLERANCE)


@pytest.mark.parametrize("value_network", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_time_limit_taken_for_death_would_cost_most_of_the_value(value_network):
    """Episodes of three steps: 1 / (1 − γ) = 10 only if the third bootstraps; taken for death it would be 2.71."""
    q = values("time-limit", [0.0], ACTIONS, episode_length=3, value_network=value_network).q
    np.testing.assert_allclose(q, FOR_EVER, atol=TOLERANCE)


@pytest.mark.parametrize("value_network", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_death_taken_for_a_time_limit_would_promise_rewards_that_never_come(value_network):
    q = values("death", [0.0, 1.0, 2.0], ACTIONS, value_network=value_network).q
    np.testing.assert_allclose(q, np.broadcast_to(TO_DEATH, q.shape), atol=TOLERANCE)


@pytest.mark.slow
def test_three_step_windows_have_the_same_answers():
    q = values("death", [0.0, 1.0, 2.0], ACTIONS, n_step=3, chunks=12).q
    np.testing.assert_allclose(q, np.broadcast_to(TO_DEATH, q.shape), atol=TOLERANCE)
