"""Presets: the defaults that `softrl train ENV` starts from."""

import itertools
import math
from importlib.util import find_spec

import jax
import numpy as np
import pytest

import softrl
from softrl.agents import ALGORITHMS, algorithm
from softrl.agents.sac.config import resolve
from softrl.config import flat
from softrl.envs import names, playground
from softrl.errors import ConfigError
from softrl.presets import preset
from softrl.training.config import validated
from softrl.types import Continuous, Spec

SIX = Spec(None, Continuous(6))

PUBLISHED = {
    # optimizer Adam at 3e-4 for all three; discount; replay; layers; units; batch; target entropy −dim(A); ReLU; τ;
    # one target update and one gradient step for each environment step
    "policy_lr": 3e-4,
    "critic_lr": 3e-4,
    "temperature_lr": 3e-4,
    "weight_decay": 0.0,
    "max_grad_norm": math.inf,
    "gamma": 0.99,
    "replay_size": 1_000_000,
    "recency_horizon": math.inf,
    "depth": 2,
    "width": 256,
    "norm": "none",
    "normalize_obs": False,
    "reward_scale": 1.0,
    "batch_size": 256,
    "auto_temperature": True,
    "target_entropy": None,
    "target_sigma": None,
    "action_prior": "lebesgue",
    "activation": "relu",
    "tau": 0.005,
    "policy_delay": 1,
    "updates_per_step": 1,
    "train_freq": 1,
    "num_envs": 1,
    "n_step": 1,
    # and of its text: twin critics, no value network
    "num_critics": 2,
    "critic_reduction": "min",
    "value_network": False,
}


@pytest.mark.parametrize("name", algorithm("sac").presets)
@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
def test_every_default_is_a_run_that_validates(platform, name):
    for env in names():
        if env.startswith("envpool/") and find_spec("envpool") is None:
            continue  # 700 MB that the development extra does without
        config = validated(preset(env, platform=platform, name=name))
        assert config.env.env == env
        resolve(config.hypers, SIX)


@pytest.mark.parametrize("algorithm_name", sorted(set(ALGORITHMS) - {"sac"}))
def test_every_algorithm_has_defaults_for_every_robot(algorithm_name):
    for env, name in itertools.product(names(), algorithm(algorithm_name).presets):
        if not (env.startswith("envpool/") and find_spec("envpool") is None):
            preset(env, algorithm=algorithm_name, name=name, platform="cpu")


@pytest.mark.parametrize("name", ["tuned", "sample-efficient"])
def test_the_control_suite_is_trained_alike_on_every_kind_of_device(name):
    """So that what one device measured is true of another, too."""
    for robot in playground.KNOWN:
        cpu, gpu = (flat(preset(f"playground/{robot}", platform=platform, name=name)) for platform in ("cpu", "gpu"))
        assert (cpu == gpu) == (robot in playground.SUITE), robot


def test_classic_is_the_published_algorithm():
    """Haarnoja et al. 2018, arXiv:1812.05905, table 1, whatever the device's tuned defaults are."""
    names = (
        "brax/halfcheetah",
        "gym/HalfCheetah-v5",
        "brax/hopper",
        "brax/inverted_pendulum",
        "brax/swimmer",
        "brax/pusher",
    )
    for env, platform in itertools.product(names, ("cpu", "gpu", "tpu")):
        found = flat(preset(env, platform=platform, name="classic"))
        assert {name: found[name] for name in PUBLISHED} == PUBLISHED


def test_the_published_policy_starts_with_a_standard_deviation_of_one():
    """Squashed through a tanh about −9 it began at 1e-4: the first sixty updates acted almost deterministically."""
    config = preset("gym/HalfCheetah-v5", name="classic")
    agent = algorithm("sac").build(config.agent, Spec(jax.ShapeDtypeStruct((17,), "float32"), Continuous(6)))
    state = agent.init(jax.random.key(0), resolve(config.hypers, SIX))
    obs = jax.random.normal(jax.random.key(1), (4096, 17))
    actions, _, _ = agent.act(agent.policy(state), (), obs, jax.random.key(2))
    assert 0.9 < np.arctanh(np.asarray(actions, np.float64)).std() < 1.1


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


@pytest.mark.parametrize("name", ALGORITHMS)
def test_no_algorithm_takes_an_infinite_learning_rate(name):
    with pytest.raises(ConfigError, match=r"policy_lr must be in \[0, inf\), got inf"):
        softrl.preset("brax/halfcheetah", algorithm=name, policy_lr=math.inf)
