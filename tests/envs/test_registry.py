"""Environments by name."""

import pytest

from softrl.envs import EnvConfig, make_env, names
from softrl.errors import ConfigError


@pytest.mark.parametrize(
    "name, words",
    [
        ("brax/halfchetah", ["'brax/halfchetah'", "did you mean 'brax/halfcheetah'", "softrl envs"]),
        ("probe/bounded-lqr", ["did you mean 'probe/bounded-lq'"]),
        ("halfcheetah", ["did you mean 'brax/halfcheetah'"]),
        ("", ["unknown environment ''"]),
        ("brax/", ["unknown environment"]),
    ],
)
def test_a_name_that_is_not_known_is_answered_with_the_nearest_one(name, words):
    with pytest.raises(ConfigError) as error:
        make_env(EnvConfig(env=name))
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize("backend, words", [("sprng", "did you mean 'spring'"), ("mujoco", "generalized, positional")])
def test_a_backend_that_is_not_known_is_answered_with_those_that_are(backend, words):
    with pytest.raises(ConfigError, match=words):
        make_env(EnvConfig(backend=backend))


def test_a_robot_that_does_not_come_in_a_backend_says_which_one_it_comes_in():
    with pytest.raises(ConfigError, match="swimmer exists only for backend 'generalized', got 'spring'"):
        make_env(EnvConfig(env="brax/swimmer", backend="spring"))


def test_every_name_says_its_family_and_none_comes_twice():
    assert len(set(names())) == len(names())
    assert {name.partition("/")[0] for name in names()} == {"brax", "envpool", "gym", "probe"}


def test_the_number_of_environments_can_be_another_for_evaluation():
    assert make_env(EnvConfig(env="probe/death", num_envs=4), num_envs=6).spec.num_envs == 6
