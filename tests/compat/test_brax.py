"""Brax's manner: `train(environment) -> (make_policy, params, metrics)`."""

import jax
import numpy as np
import pytest

import softrl
from softrl.compat import brax as sac
from softrl.envs.brax import make_brax

SETTINGS = {"width": 8, "depth": 1, "n_step": 1}


@pytest.fixture(scope="module")
def environment():
    """Brax's environment without physics."""
    return make_brax("fast", "spring")


@pytest.fixture(scope="module")
def trained(environment):
    told, params = [], []
    result = sac.train(
        environment,
        num_timesteps=64,
        episode_length=16,
        num_envs=4,
        num_eval_envs=2,
        num_evals=3,
        batch_size=8,
        min_replay_size=16,
        max_replay_size=256,
        normalize_observations=True,
        progress_fn=lambda steps, metrics: told.append((steps, metrics)),
        policy_params_fn=lambda steps, make_policy, new: params.append(new),
        **SETTINGS,
    )
    return *result, told, params


def test_progress_comes_at_every_evaluation_under_braxs_names(trained):
    _, _, metrics, told, params = trained
    assert [steps for steps, _ in told] == [0, 32, 64]
    assert told[-1][1] == metrics
    assert len(params) == 3
    wanted = {"eval/episode_reward", "eval/avg_episode_length", "training/sps", "training/walltime"}
    assert wanted <= metrics.keys()
    assert metrics["eval/avg_episode_length"] == 16.0


def test_a_policy_acts_on_one_observation_or_many(trained, environment):
    make_policy, params, *_ = trained
    size = environment.observation_size
    obs = np.ones((3, size), np.float32)
    policy = make_policy(params, deterministic=True)
    many, extras = policy(obs, jax.random.PRNGKey(0))
    assert many.shape == (3, environment.action_size)
    assert extras == {}
    one, _ = policy(obs[0], jax.random.key(0))
    np.testing.assert_allclose(one, many[0], atol=1e-6)  # a batch of one is another matrix product
    drawn, _ = make_policy(params)(obs, jax.random.PRNGKey(0))
    assert not np.array_equal(drawn, many)


def test_an_unknown_setting_is_refused_with_the_nearest(environment):
    with pytest.raises(softrl.ConfigError, match="did you mean 'width'"):
        sac.train(environment, num_timesteps=8, episode_length=4, widht=3)


def test_what_is_no_environment_is_refused():
    with pytest.raises(softrl.ConfigError, match="Brax"):
        sac.train("halfcheetah", num_timesteps=8, episode_length=4)
