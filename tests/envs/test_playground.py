"""MuJoCo Playground's robots: names without the library, limits as ours, meshes without a clone, true last steps."""

import importlib
import sys
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl import sweep
from softrl.envs import EnvConfig, found, make_env, names, physics, playground
from softrl.errors import ConfigError

slow = pytest.mark.slow


def test_naming_a_robot_and_its_preset_does_not_import_playground():
    before = set(sys.modules)
    assert sum(name.startswith("playground/") for name in names()) == 54
    config = softrl.preset("playground/PandaRobotiqPushCube").env
    assert (config.backend, config.episode_length, config.action_repeat) == ("jax", 750, 4)
    assert softrl.preset("playground/Go1Getup", action_repeat=2, episode_length=9).env.episode_length == 9
    intervals = [softrl.preset(f"playground/{name}").env.reset_interval for name in ("CheetahRun", "Op3Joystick")]
    assert intervals == [1000, 8]
    assert physics("playground/Go1Getup", "jax") == "jax"
    assert not any(name.startswith("mujoco_playground") for name in set(sys.modules) - before)


def test_a_misspelt_robot_gets_the_one_that_was_meant():
    with pytest.raises(ConfigError, match="did you mean 'playground/CartpoleBalance'"):
        found("playground/CartpoleBalanse")


@pytest.mark.parametrize(
    ("backend", "words"), [("warp", "one list for all environments.*--backend jax"), ("spring", "must be jax")]
)
def test_physics_that_playground_does_not_have_here_is_refused_with_the_reason(backend, words):
    with pytest.raises(ConfigError, match=words) as error:
        make_env(EnvConfig(env="playground/CartpoleBalance", backend=backend))
    assert "\n" not in str(error.value)


def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco_playground", None)
    with pytest.raises(ConfigError, match=r"need MuJoCo Playground: pip install 'softrl\[playground\]'"):
        make_env(EnvConfig(env="playground/CartpoleBalance", backend="jax"))


def test_every_robot_beyond_the_suite_has_a_folder_of_meshes():
    for name in playground.LOCOMOTION + playground.MANIPULATION:
        assert len([word for word in playground.MESHES if name.startswith(word)]) == 1, name


def test_the_published_preset_is_playgrounds_with_half_an_action_of_entropy():
    config = softrl.preset("playground/CheetahRun", name="playground")
    assert config.training.steps == 2 * softrl.preset("playground/CartpoleBalance", name="playground").training.steps
    entropy = 0.5 * np.log(2 * np.pi * np.e * config.hypers.target_sigma**2)
    np.testing.assert_allclose(entropy, -0.5, rtol=1e-12)


@slow
def test_names_limits_and_repeats_are_playgrounds_own(registry):
    assert registry.ALL_ENVS == playground.KNOWN
    for name in playground.KNOWN:
        its, ours = registry.get_default_config(name), softrl.preset(f"playground/{name}").env
        assert its.action_repeat == ours.action_repeat, name
        assert its.episode_length == ours.episode_length * ours.action_repeat, name


@slow
def test_the_published_preset_has_playgrounds_numbers(registry):
    params = importlib.import_module("mujoco_playground.config.dm_control_suite_params")
    ours = {
        "num_envs": "num_envs",
        "batch_size": "batch_size",
        "discounting": "gamma",
        "learning_rate": "critic_lr",
        "grad_updates_per_step": "updates_per_step",
        "max_replay_size": "replay_size",
        "min_replay_size": "learning_starts",
        "normalize_observations": "normalize_obs",
        "episode_length": "episode_length",
        "action_repeat": "action_repeat",
        "reward_scaling": "reward_scale",
    }
    for name in playground.SUITE:
        config = softrl.config.flat(softrl.preset(f"playground/{name}", name="playground"))
        its = params.brax_sac_config(name)
        assert {field: its[field] for field in ours} == {field: config[mine] for field, mine in ours.items()}, name
        assert 0 <= config["steps"] - its.num_timesteps < 2 * config["num_envs"]


@slow
def test_meshes_are_found_or_named_and_never_cloned(registry, monkeypatch, tmp_path):
    mjx_env = importlib.import_module("mujoco_playground._src.mjx_env")
    monkeypatch.setattr(mjx_env, "_clone_with_progress", lambda *args: pytest.fail("cloned"))
    monkeypatch.setattr(mjx_env, "EXTERNAL_DEPS_PATH", type(mjx_env.EXTERNAL_DEPS_PATH)(tmp_path))
    monkeypatch.setattr(mjx_env, "MENAGERIE_PATH", mjx_env.EXTERNAL_DEPS_PATH / "mujoco_menagerie")
    config = EnvConfig(env="playground/Go1JoystickFlatTerrain", backend="jax", num_envs=2)
    with monkeypatch.context() as without, pytest.raises(ConfigError, match=r"unitree_go1.*softrl\[playground\]"):
        without.setattr(playground, "MENAGERIES", ())
        make_env(config)
    if find_spec(playground.MENAGERIES[0]) is None:
        pytest.skip("the packages with meshes are not installed")
    spec = make_env(config).spec
    assert (spec.actor_obs, spec.critic_obs) == ("state", "privileged_state")


@slow
def test_values_of_a_robots_config_can_be_replaced_and_others_are_refused(registry):
    config = EnvConfig(env="playground/CartpoleBalance", backend="jax")
    assert playground.make_playground("CartpoleBalance", {"ctrl_dt": 0.02}, config).dt == 0.02
    for wrong, words in (({"ctrl_td": 0.02}, "ctrl_td.*known: .*ctrl_dt"), ({"impl": "warp"}, "--backend instead")):
        with pytest.raises(ConfigError, match=words) as error:
            playground.make_playground("CartpoleBalance", wrong, config)
        assert "\n" not in str(error.value)


@slow
@pytest.mark.parametrize("name", ["AlohaHandOver", "PandaPickCubeCartesian"])
def test_a_robot_that_counts_its_steps_counts_past_our_limit(registry, name):
    if find_spec(playground.MENAGERIES[0]) is None:
        pytest.skip("the packages with meshes are not installed")
    config = EnvConfig(env=f"playground/{name}", backend="jax", episode_length=6, action_repeat=2)
    its = playground.make_playground(name, {}, config)._config
    assert its.episode_length > its.action_repeat * config.action_repeat * config.episode_length


@slow
def test_a_suite_robot_keeps_its_last_observation_where_our_clock_cuts(registry):
    env = make_env(EnvConfig(env="playground/CartpoleBalance", backend="jax", num_envs=2, episode_length=3))
    step = jax.jit(env.step)
    states = [jax.jit(env.reset)(jax.random.key(0))]
    for _ in range(3):
        states.append(step(states[-1], jnp.full((2, 1), 0.3)))
    assert [state.truncated.tolist() for state in states[1:]] == [[False, False], [False, True], [True, False]]
    assert all(state.valid.all() and not state.terminated.any() for state in states)
    moved = np.abs(np.asarray(states[3].final_obs - states[2].obs))[0].max()
    fresh = np.abs(np.asarray(states[3].obs - states[2].obs))[0].max()
    assert 0 < moved < fresh, "a step moves less than a reset"


@slow
@pytest.mark.parametrize(
    ("name", "actor_obs"),
    [
        ("PandaRobotiqPushCube", None),  # mended, and repeats its actions
        ("LeapCubeReorient", "state"),  # mended
        ("AlohaSinglePegInsertion", None),  # repeats its actions
        ("AlohaHandOver", None),  # counts
        ("Go1JoystickFlatTerrain", "state"),
    ],
)
def test_a_robot_that_needs_something_of_its_own_resets_and_steps_under_strict_jax(registry, name, actor_obs):
    if find_spec(playground.MENAGERIES[0]) is None:
        pytest.skip("the packages with meshes are not installed")
    env = make_env(softrl.preset(f"playground/{name}", num_envs=2).env)
    assert env.spec.actor_obs == actor_obs
    state = jax.eval_shape(env.reset, jax.random.key(0))
    after = jax.eval_shape(env.step, state, jax.ShapeDtypeStruct((2, env.spec.action.size), jnp.float32))
    shapes = [[(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)] for tree in (state, after)]
    assert shapes[0] == shapes[1]


@slow
def test_a_sweep_over_three_robots_finds_the_best_member_of_each(registry, tmp_path):
    robots = [f"playground/{name}" for name in ("CartpoleBalance", "PendulumSwingup", "PointMass")]
    small = {"num_envs": 2, "chunk_steps": 16, "steps": 64, "eval_every": 32, "eval_episodes": 1, "episode_length": 16}
    sizes = {"width": 8, "batch_size": 8, "replay_size": 64, "learning_starts": 8, "updates_per_step": 1}
    out = tmp_path / "sweep"
    sweep.run({"seeds": 2, "base": {**small, **sizes}, "axes": {"env": robots}}, out)
    best = sweep.bests(out)
    assert list(best) == robots
    for robot, winner in best.items():
        assert f"softrl train {robot} " in winner.command
        run = softrl.load(winner.directory)
        assert run.config.env.env == robot and run.metrics[-1]["env_steps"] == 64
