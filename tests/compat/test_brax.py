"""Brax's manner: `train(environment) -> (make_policy, params, metrics)`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl.compat import brax as sac
from softrl.envs.brax import make_brax

pytestmark = pytest.mark.usefixtures("compiled_once")

SETTINGS = {"width": 8, "depth": 1, "n_step": 1}
FEW = {
    "num_timesteps": 64,
    "episode_length": 16,
    "num_envs": 4,
    "num_eval_envs": 2,
    "num_evals": 3,
    "batch_size": 8,
    "min_replay_size": 16,
    "max_replay_size": 256,
    "normalize_observations": True,
    **SETTINGS,
}


@pytest.fixture(scope="module")
def environment():
    """Brax's environment without physics."""
    return make_brax("fast", "spring")


@pytest.fixture(scope="module")
def trained(environment):
    told, params = [], []
    result = sac.train(
        environment,
        **FEW,
        progress_fn=lambda steps, metrics: told.append((steps, metrics)),
        policy_params_fn=lambda steps, make_policy, new: params.append(new),
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
    np.testing.assert_array_equal(policy(obs, None)[0], many)  # of which nothing is drawn
    one, _ = policy(obs[0], jax.random.key(0))
    np.testing.assert_allclose(one, many[0], atol=1e-6)  # a batch of one is another matrix product
    drawn, _ = make_policy(params)(obs, jax.random.PRNGKey(0))
    assert not np.array_equal(drawn, many)


class Treadmill:
    """Of Playground's kind: a model in `_mjx_model`, and no `sys`. Every physics step earns its speed; none falls."""

    action_size = 1

    def __init__(self):
        self._mjx_model = {"speed": jnp.float32(1.0), "bodies": 3}

    def reset(self, key):
        return Position(None, jnp.zeros(2), jnp.float32(0.0), jnp.float32(0.0))

    def step(self, state, action):
        return state._replace(obs=state.obs + 1.0, reward=self._mjx_model["speed"])


class Position(NamedTuple):
    """What `Treadmill` gives."""

    pipeline_state: None
    obs: jax.Array
    reward: jax.Array
    done: jax.Array


def walked(**settings) -> tuple[list, dict[str, float]]:
    told = []
    few = {"num_timesteps": 40, "episode_length": 20, "num_envs": 2, "num_eval_envs": 2, "batch_size": 4}
    sac.train(
        Treadmill(), **few, min_replay_size=8, **SETTINGS, **settings, progress_fn=lambda *seen: told.append(seen)
    )
    return told[-1]


def test_lengths_and_timesteps_count_physics_steps_as_braxs_do():
    steps, metrics = walked(action_repeat=2)
    assert steps == 40
    assert metrics["eval/avg_episode_length"] == 20.0
    assert metrics["eval/episode_reward"] == 20.0


@pytest.mark.slow
def test_a_randomiser_of_playgrounds_form_draws_a_model_for_each_environment():
    def domain_randomize(model, keys):
        speed = jax.vmap(lambda key: jax.random.uniform(key, minval=2.0, maxval=3.0))(keys)
        return {**model, "speed": speed}, {"speed": 0, "bodies": None}

    _, metrics = walked(randomization_fn=domain_randomize)
    assert metrics["eval/episode_reward"] == 20.0  # evaluated in the model as it is
    assert 40.0 <= metrics["training/return_mean"] <= 60.0


def test_an_environment_may_be_named(trained):
    _, _, named = sac.train("brax/fast", **FEW)
    results = ("eval/episode_reward", "training/critic_loss")
    assert [named[name] for name in results] == [trained[2][name] for name in results]
    for wrong, words in (("brax/fasd", "did you mean 'brax/fast'"), ("gym/Pendulum-v1", "playground/WalkerRun")):
        with pytest.raises(softrl.ConfigError, match=words):
            sac.train(wrong, **FEW)


def test_a_randomiser_of_one_environment_is_told_where_it_belongs():
    with pytest.raises(softrl.ConfigError, match="randomize="):
        walked(randomization_fn=lambda key, model: key)


def test_evaluation_samples_actions_unless_it_is_asked_for_their_mode():
    mode = {"return_mean": [1.0], "return_std": [0.0], "length_mean": [5.0]}
    sampled = {"stochastic_return_mean": [2.0], "stochastic_return_std": [0.0], "stochastic_length_mean": [5.0]}
    record = {"eval": mode | sampled, "train": {}, "timing": {"env_steps_per_s": 1.0, "wall_s": 1.0}}
    assert sac._metrics(record, 1, False)["eval/episode_reward"] == 2.0
    assert sac._metrics(record, 1, True)["eval/episode_reward"] == 1.0


def test_what_only_braxs_trainer_takes_is_answered_with_what_to_say_here(environment):
    with pytest.raises(softrl.ConfigError, match=r"network_factory .* width= and depth="):
        sac.train(environment, num_timesteps=8, episode_length=4, network_factory=None)


def test_a_target_may_be_given_as_a_width_in_place_of_braxs_entropy(environment, monkeypatch):
    monkeypatch.setattr(sac, "_run", lambda assembled, *_: assembled)
    assembled = sac.train(environment, **FEW, target_sigma=0.2)
    assert (assembled.config.hypers.target_entropy, assembled.config.hypers.target_sigma) == (None, 0.2)


def test_an_unknown_setting_is_refused_with_the_nearest(environment):
    with pytest.raises(softrl.ConfigError, match="did you mean 'width'"):
        sac.train(environment, num_timesteps=8, episode_length=4, widht=3)


def test_what_is_no_environment_is_refused():
    with pytest.raises(softrl.ConfigError, match="Brax"):
        sac.train("halfcheetah", num_timesteps=8, episode_length=4)
