"""Presets: the defaults that `softrl train ENV` starts from."""

import math
from importlib.util import find_spec

import pytest

import softrl
from softrl.agents import algorithm
from softrl.agents.sac.config import resolve
from softrl.envs import names
from softrl.errors import ConfigError
from softrl.presets import preset
from softrl.training.config import validated
from softrl.types import Continuous, Spec

SIX = Spec(None, Continuous(6))


@pytest.mark.parametrize("name", algorithm("sac").presets)
@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
def test_every_default_is_a_run_that_validates(platform, name):
    for env in names():
        if env.startswith("envpool/") and find_spec("envpool") is None:
            continue  # 700 MB that the development extra does without
        config = validated(preset(env, platform=platform, name=name))
        assert config.env.env == env
        resolve(config.hypers, SIX)


def test_classic_is_the_published_algorithm():
    """Haarnoja et al. 2018, arXiv:1812.05905, table 1, whatever the device's tuned defaults are."""
    runs = [("brax/halfcheetah", "cpu"), ("brax/halfcheetah", "gpu"), ("gym/HalfCheetah-v5", "cpu")]
    for env, platform in runs:
        config = preset(env, platform=platform, name="classic")
        hypers, training = config.hypers, config.training
        assert (hypers.policy_lr, hypers.critic_lr, hypers.temperature_lr) == (3e-4, 3e-4, 3e-4)
        assert (hypers.gamma, hypers.tau, hypers.target_entropy) == (0.99, 0.005, None)
        assert config.replay.recency_horizon == math.inf
        assert (training.batch_size, training.n_step, training.updates_per_step) == (256, 1, 1)
        assert training.train_freq == 1  # a host hands over each step as it comes
        assert (config.env.num_envs, config.agent.layer_norm, config.agent.policy_delay) == (1, False, 1)


def test_changes_reach_the_config_by_their_flat_names_and_beat_the_preset():
    config = softrl.preset("brax/ant", backend="mjx", gamma=0.97, num_envs=128, width=64)
    assert (config.env.env, config.env.backend, config.env.num_envs) == ("brax/ant", "mjx", 128)
    assert (config.hypers.gamma, config.agent.width) == (0.97, 64)


@pytest.mark.parametrize(
    ("env", "changes", "says"),
    [
        ("brax/halfcheeta", {}, "brax/halfcheetah"),
        ("brax/ant", {"name": "tunes"}, "tuned"),
        ("brax/ant", {"gama": 0.9}, "gamma"),
    ],
)
def test_a_misspelt_name_gets_the_one_that_was_meant(env, changes, says):
    with pytest.raises(ConfigError, match=says):
        preset(env, **changes)
