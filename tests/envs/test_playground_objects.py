"""Objects of MuJoCo Playground's: the robot that one is, not its class; in Brax's manner, too."""

import jax
import jax.numpy as jnp
import pytest

import softrl
from softrl.compat import brax as sac
from softrl.envs import found, playground
from softrl.errors import ConfigError
from softrl.training.assemble import assemble
from softrl.training.identity import agree, write

slow = pytest.mark.slow


class Impl:
    """As MJX's own."""

    value = "warp"


class Model:
    """As MJX's."""

    impl = Impl()


class Warped:
    """Of Playground's kind, with a model of MuJoCo Warp's."""

    action_size = 1
    reset = step = None

    def __init__(self):
        self._mjx_model = Model()


def test_a_model_of_warp_is_refused_with_the_reason():
    with pytest.raises(ConfigError, match=r"Warped moves by MuJoCo Warp.*make it with impl 'jax'") as error:
        found(Warped())
    assert "\n" not in str(error.value)


@slow
def test_an_object_is_the_robot_that_it_is_whatever_others_are_of_its_class(registry):
    for name in playground.SUITE:
        source = found(registry.load(name))
        assert (source.name, source.kwargs, source.lasting) == (f"playground/{name}", {}, True)
    assert softrl.preset(registry.load("WalkerRun")) == softrl.preset("playground/WalkerRun")


@slow
def test_changed_values_of_a_config_are_part_of_what_an_object_is(registry):
    env = registry.load("WalkerRun", config_overrides={"ctrl_dt": 0.05, "impl": "jax"})
    config = softrl.preset(env)
    assert config == softrl.preset("playground/WalkerRun", env_kwargs={"ctrl_dt": 0.05})
    assert found(env, config.env.kwargs).make(config.env, stagger=True, randomize=None).spec.action.size == 6
    with pytest.raises(ConfigError, match="is one already"):
        found(env, {"ctrl_dt": 0.1})
    env._move_speed = 3.0
    assert found(env).name == "own/PlanarWalker"


@slow
def test_a_run_in_an_object_goes_on_by_its_name_and_in_no_other_task(registry, tmp_path):
    write(tmp_path, assemble(softrl.preset("playground/WalkerWalk"), env=registry.load("WalkerWalk")))
    agree(tmp_path, assemble(softrl.preset("playground/WalkerWalk")))
    run = registry.load("WalkerRun")
    with pytest.raises(ConfigError, match=r"another env \('playground/WalkerWalk' there, 'playground/WalkerRun' now\)"):
        agree(tmp_path, assemble(softrl.preset(run), env=run))


@slow
def test_braxs_manner_trains_an_object_of_warp_with_a_randomiser_of_playgrounds_form(registry, tmp_path):
    def heavier(model, rng):
        mass = jax.vmap(lambda key: model.body_mass * jax.random.uniform(key, minval=2.0, maxval=3.0))(rng)
        axes = jax.tree.map(lambda x: None, model).tree_replace({"body_mass": 0})
        return model.tree_replace({"body_mass": mass}), axes

    few = {"episode_length": 20, "action_repeat": 2, "num_envs": 2, "num_eval_envs": 2, "batch_size": 4}
    few |= {"num_timesteps": 40, "min_replay_size": 8, "width": 8, "depth": 1, "n_step": 1}
    few |= {"run_directory": tmp_path, "randomization_fn": heavier}
    env = registry.load("CartpoleBalance")
    make_policy, params, metrics = sac.train(env, **few, eval_env=registry.load("CartpoleBalance"))
    assert metrics["eval/avg_episode_length"] == 20.0
    assert make_policy(params)(jnp.zeros(5), jax.random.PRNGKey(0))[0].shape == (1,)
    config = softrl.load(tmp_path).config.env
    assert (config.env, config.backend, config.episode_length, config.env_kwargs) == (
        "playground/CartpoleBalance",
        "jax",
        10,
        "{}",
    )
    with pytest.raises(ConfigError, match=r"another env .*CartpoleBalance' there, 'playground/CartpoleSwingup' now"):
        sac.train(registry.load("CartpoleSwingup"), **few)
    with pytest.raises(ConfigError, match=r"another randomize \('.*heavier' there, None now\)"):
        sac.train(env, **{**few, "randomization_fn": None})
