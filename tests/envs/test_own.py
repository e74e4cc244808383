"""Runs in environments of one's own: never in another one of the same name, and in any process where that can be."""

import importlib
import json
import sys

import jax.numpy as jnp
import pytest

import softrl
from experiments.environments.point_mass import PointMass, make_env
from softrl import cli
from softrl.compat import brax as sac
from softrl.envs import families
from softrl.envs.brax import make_brax
from softrl.reporting.film import film
from tests import tiny

pytestmark = pytest.mark.usefixtures("compiled_once")

SIZES = {"width": 8, "num_envs": 4, "episode_length": 8, "steps": 128, "eval_every": 64, "learning_starts": 32}


class Wide(PointMass):
    """As the point mass, but it observes a number more."""

    def _seen(self, state):
        return jnp.append(super()._seen(state), 0.0)


class Unset(PointMass):
    """As the point mass, but it observes how far it has come a second, which at rest is 0/0."""

    def _seen(self, state):
        return jnp.append(super()._seen(state), jnp.linalg.norm(state.velocity) / state.time)


class Unpaid(PointMass):
    """As the point mass, but its rewards are no numbers."""

    def step_env(self, key, state, action, params):
        obs, state, reward, *rest = super().step_env(key, state, action, params)
        return obs, state, reward * jnp.nan, *rest


class Other(PointMass):
    """As the point mass, under another name."""


def config(env, **changes) -> softrl.Config:
    """A tiny run in an environment of one's own."""
    base = softrl.preset(env, platform="cpu", name="tuned")
    return tiny.config(**{**SIZES, "env": base.env.env, **changes})


@pytest.fixture(scope="module")
def in_process(tmp_path_factory):
    """A run in an environment that no name finds again."""
    out = tmp_path_factory.mktemp("own") / "run"
    return softrl.train(config(PointMass()), env=PointMass(), out=out)


def test_a_run_says_what_it_was_trained_in(in_process):
    written = json.loads((in_process.directory / "config.json").read_text())
    assert written["config"]["env"]["env"] == "own/PointMass"
    assert written["environment"] == {
        "source": "experiments.environments.point_mass.PointMass",
        "only_in_process": True,
        "obs": "float32[4]",
        "action": {"kind": "Continuous", "size": 2, "low": [-2.0, -2.0], "high": [2.0, 2.0]},
    }
    assert {"brax", "gymnasium", "envpool"} <= written["versions"].keys()


def test_first_observations_that_are_not_finite_are_the_environments_fault_and_no_learning_rates():
    with pytest.raises(softrl.ConfigError, match="own/Unset: reset gives observations that are not finite, 4 of the"):
        softrl.train(config(Unset()), env=Unset())


def test_a_run_whose_evaluations_were_no_numbers_is_not_told_to_train_further(tmp_path):
    softrl.train(config(Unpaid()), env=Unpaid(), out=tmp_path / "run")
    with pytest.raises(softrl.CheckpointError, match="none of its 3 evaluations has a finite return; look at"):
        softrl.load(tmp_path / "run", env=Unpaid())


def test_what_lived_in_a_process_only_must_be_given_again(in_process):
    with pytest.raises(softrl.ConfigError, match=r"PointMass, was only there in the process.*env=") as error:
        softrl.load(in_process.directory)
    assert "\n" not in str(error.value)
    loaded = softrl.load(in_process.directory, env=PointMass())
    assert (loaded.policy(jnp.ones(4)) == in_process.policy(jnp.ones(4))).all()
    assert loaded.resume(steps=192).metrics[-1]["env_steps"] == 192
    with pytest.raises(softrl.ConfigError, match=r"obs \('float32\[4\]' there, 'float32\[5\]' now\)"):
        softrl.load(in_process.directory, env=Wide())


def test_another_environment_may_judge_a_policy_but_not_go_on_with_the_run(in_process):
    judged = softrl.load(in_process.directory, env=Other())
    with pytest.raises(softrl.ConfigError, match=r"another source \('.*PointMass' there, '.*Other' now\)"):
        judged.resume(steps=1024)


def test_a_film_of_what_has_no_body_is_refused(in_process, tmp_path):
    with pytest.raises(softrl.ConfigError, match="own/PointMass has no body to film"):
        film(in_process.assembled, in_process.best_policy, tmp_path / "replay.mp4")


def test_the_environment_to_evaluate_in_is_part_of_a_run(tmp_path):
    pieces = {"env": make_env, "evaluation_env": Other()}
    run = softrl.train(config(make_env), **pieces, out=tmp_path / "run")
    assert run.config.env.env == "experiments.environments.point_mass:make_env"
    with pytest.raises(softrl.ConfigError, match="evaluation_env="):
        softrl.load(tmp_path / "run")
    softrl.load(tmp_path / "run", evaluation_env=Other()).resume(steps=192)
    with pytest.raises(softrl.ConfigError, match="evaluation"):
        softrl.train(config(make_env, steps=192), env=make_env, out=tmp_path / "run")
    with pytest.raises(softrl.ConfigError, match="evaluation_env differs from env: obs"):
        softrl.train(config(make_env), env=make_env, evaluation_env=Wide())


def test_a_registered_name_is_of_one_process_and_of_one_environment(tmp_path, monkeypatch):
    monkeypatch.setattr(families, "_REGISTERED", {})
    softrl.register("mine/point", make_env)
    softrl.train(config("mine/point"), out=tmp_path / "run")
    softrl.train(config("mine/point", steps=192), out=tmp_path / "run")  # named again, and the same
    softrl.load(tmp_path / "run")
    monkeypatch.setattr(families, "_REGISTERED", {})  # as in another process
    with pytest.raises(softrl.ConfigError, match="was only there in the process"):
        softrl.load(tmp_path / "run")
    softrl.register("mine/point", lambda: Other())
    with pytest.raises(softrl.ConfigError, match="was only there in the process"):
        softrl.load(tmp_path / "run")
    with pytest.raises(softrl.ConfigError, match="another source"):
        softrl.train(config("mine/point", steps=256), out=tmp_path / "run")


def test_a_module_whose_environment_changed_is_noticed_and_a_missing_one_is_one_line(tmp_path, monkeypatch, capsys):
    name, run = "softrl_test_mine", tmp_path / "run"
    module = tmp_path / f"{name}.py"
    sizes = {**tiny.SIZES, **SIZES, "n_step": 1}  # of a program that is in the cache
    flags = [
        word for key, value in sizes.items() if key != "env" for word in (f"--{key.replace('_', '-')}", str(value))
    ]
    train = ["train", f"{name}:make_env", *flags, "--n-step-entropy", "--no-video", "--out", str(run)]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def written(code: str) -> None:
        """The module as a process finds it that has not imported it yet."""
        module.write_text(code)
        sys.modules.pop(name, None)
        importlib.invalidate_caches()

    written("from experiments.environments.point_mass import PointMass as make_env\n")
    for words in (train, ["eval", str(run), "--episodes", "1"]):
        with pytest.raises(SystemExit) as left:
            cli.main(words)
        assert left.value.code == 0, capsys.readouterr()
    written("from tests.envs.test_own import Wide as make_env\n")
    for words in (train, ["eval", str(run)]):
        one_line(words, "obs ('float32[4]' there, 'float32[5]' now)", capsys)
    written("")
    module.unlink()
    one_line(["eval", str(run)], f"there is no module '{name}'", capsys)


def one_line(words: list[str], said: str, capsys) -> None:
    """Refused in one line on standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    told = capsys.readouterr().err
    assert (left.value.code, told.count("\n")) == (2, 1), told
    assert said in told


def test_an_older_config_without_environments_is_accepted(tmp_path):
    softrl.train(tiny.config(steps=128), out=tmp_path)
    path = tmp_path / "config.json"
    written = json.loads(path.read_text())
    del written["environment"], written["config"]["env"]["env_kwargs"]
    path.write_text(json.dumps(written))
    assert softrl.load(tmp_path).resume(steps=256).metrics[-1]["env_steps"] == 256


@pytest.mark.slow
def test_compat_never_takes_ones_own_class_for_the_stock_one_of_its_name(tmp_path):
    stock = make_brax("fast", "spring")
    mine = type("Fast", (type(stock),), {"__module__": __name__})()
    small = {"num_timesteps": 32, "episode_length": 8, "num_envs": 4, "num_eval_envs": 1, "batch_size": 8}
    small |= {"min_replay_size": 16, "max_replay_size": 64, "width": 8, "depth": 1, "n_step": 1}
    sac.train(stock, **small, run_directory=tmp_path / "stock")
    assert softrl.load(tmp_path / "stock").config.env.env == "brax/fast"
    sac.train(mine, **small, run_directory=tmp_path / "mine")
    with pytest.raises(softrl.ConfigError, match=r"test_own.Fast, was only there"):
        softrl.load(tmp_path / "mine")
    with pytest.raises(softrl.ConfigError, match="another"):
        sac.train(mine, **small, run_directory=tmp_path / "stock")
