"""What users' environments give and take: every usual form is learnt from, the rest is one line before compiling."""

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict

import softrl
from softrl.envs import EnvConfig, boxes, families, make_env
from tests.cases import points

pytestmark = pytest.mark.usefixtures("compiled_once")


def made(kind, backend="sync"):
    return make_env(EnvConfig(env="own", backend=backend, num_envs=2, episode_length=5), families.found(kind))


@pytest.mark.parametrize("backend", ["sync", pytest.param("async", marks=pytest.mark.slow)])
def test_other_containers_and_types_are_the_same_environment(backend):
    plain, odd = (made(kind, backend) for kind in (points.Dot, points.Odd))
    assert jax.tree.structure(plain.spec.obs) == jax.tree.structure(odd.spec.obs)
    jax.tree.map(np.testing.assert_array_equal, plain.reset(3), odd.reset(3))
    ends = 0
    for action in np.random.default_rng(0).uniform(-1, 1, (12, 2, 2)).astype(np.float32):
        one, two = plain.step(action), odd.step(action)
        jax.tree.map(np.testing.assert_array_equal, one, two)
        ends += int((one.terminated | one.truncated).sum())
    assert ends >= 4
    plain.close()
    odd.close()


def test_a_run_in_other_containers_and_types_is_the_same_run():
    plain, odd = (softrl.train(points.config(kind), env=kind) for kind in (points.Dot, points.Odd))
    assert plain.metrics[-1]["state_sha256"] == odd.metrics[-1]["state_sha256"]


@pytest.mark.parametrize(
    "kind, words",
    [
        (points.FourValues, "its step gives 4 values; .*terminated, truncated, info"),
        (points.NoSeed, r"its reset takes no seed; .*reset\(\*, seed=None"),
        (points.NoInfo, r"its reset gives no \(obs, info\)"),
        (points.OtherShape, "reset gives an observation that is none of Dict"),
        (points.ManyRewards, "the reward of a step must be one finite number"),
        (points.NoGymnasium, "NoGymnasium must inherit from gymnasium.Env"),
    ],
    ids=lambda part: getattr(part, "__name__", ""),
)
def test_an_old_or_broken_api_is_refused_in_one_line(kind, words):
    with pytest.raises(softrl.ConfigError, match=words) as error:
        made(kind)
    assert "\n" not in str(error.value)


def test_wrappers_do_not_hide_an_old_api():
    def wrapped():
        return gymnasium.wrappers.FlattenObservation(points.FourValues())

    with pytest.raises(softrl.ConfigError, match="its step gives 4 values"):
        made(wrapped)


@pytest.mark.parametrize("width", [np.float32, np.float64])
def test_bounds_that_say_nothing_are_refused_before_compiling(width):
    most = np.finfo(width).max
    with pytest.raises(softrl.ConfigError, match="give it narrower ones"):
        boxes.acted("env", Box(-most, most, (2,), width))
    with pytest.raises(softrl.ConfigError, match="softrl takes actions that are bounded floating-point numbers"):
        boxes.acted("env", Box(-3, 3, (2,), np.int64))


def test_a_simulators_bounds_are_held_to_the_same():
    most = float(np.finfo(np.float32).max)
    action = softrl.Continuous(1, (-most,), (most,))
    point = softrl.Simulator(
        lambda key, index: (0.0 * jax.random.uniform(key, (1,)), 0.0 * jax.random.uniform(key, (1,))),
        lambda sim, action: (sim + action, sim + action, sim[0], sim[0] > 2.0),
        action=action,
    )
    with pytest.raises(softrl.ConfigError, match="give it narrower ones"):
        make_env(EnvConfig(env="own", num_envs=2), families.found(point))


def test_two_entries_of_one_name_are_refused_and_not_mixed_up():
    one = Box(-1, 1, (2,), np.float32)
    both = Dict({"a/b": one, "a": Dict({"b": one})})
    with pytest.raises(softrl.ConfigError, match="two entries of the observation have the name 'a/b'"):
        boxes.boxes("env", both, one)
    for spec in (both, {0: one, "0": one}):
        with pytest.raises(softrl.ConfigError, match="two entries"):
            softrl.spec_of(spec, 2)


YARD = """
import gymnasium
from tests.cases.points import Dot
gymnasium.register("Dot-v0", Dot)
"""


def test_an_environment_behind_a_package_is_found_again_also_from_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "yard_of_points.py").write_text(YARD)
    monkeypatch.chdir(tmp_path)
    source = families.found("gym/yard_of_points:Dot-v0")
    assert source.lasting, "softrl eval and export would want the environment again"
    env = make_env(EnvConfig(env=source.name, backend="sync", num_envs=1, episode_length=5), source)
    assert env.reset(0)["p"].shape == (1, 1)
    with pytest.raises(softrl.ConfigError, match="no module 'no_such_yard'"):
        families.found("gym/no_such_yard:Dot-v0")
    del gymnasium.registry["Dot-v0"]


def test_an_error_of_the_environments_own_ends_in_a_saved_run_and_its_own_traceback(tmp_path):
    config = points.config(points.Broken)
    points.Broken.left = 115  # after the evaluation at step 64, before the one at 128
    with pytest.raises(OSError, match="motor 3") as error:
        softrl.train(config, env=points.Broken, out=tmp_path)
    assert error.traceback[-1].path.name == "points.py"
    assert error.value.__notes__ == [f"{tmp_path} is saved up to 64 steps; the same call goes on from there"]
    points.Broken.left = 10**9
    events = []
    run = softrl.train(config, env=points.Broken, out=tmp_path, listener=events.append)
    assert [event["step"] for event in events if event["event"] == "resumed"] == [32]
    assert run.metrics[-1]["env_steps"] == 128
