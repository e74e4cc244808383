"""The policies that ship: what their cards say is so, and the commands of runs take them, too."""

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import softrl
from softrl import cli, tensors, zoo
from softrl.errors import ConfigError, TensorError
from softrl.numpy_policy import NumpyPolicy
from softrl.training.assemble import acting
from softrl.zoo import cards
from tests import tiny
from tests.refused import explained

ROOT = Path(__file__).resolve().parents[1]
SMALL = "gym/HalfCheetah-v5"
pytestmark = pytest.mark.usefixtures("compiled_once")
each_policy = pytest.mark.parametrize("name", zoo.names())


def called(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command says that ends well."""
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 0
    return capsys.readouterr().out


def test_whoever_acts_by_a_policy_of_the_zoo_needs_no_jax(user_environment):
    code = f"""
import sys, numpy, softrl
policy = softrl.zoo.load({SMALL!r})
action = policy(numpy.zeros(17))
print(softrl.zoo.card({SMALL!r}).task, action.shape, action.dtype, "jax" in sys.modules)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=user_environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == f"{SMALL} (6,) float32 False"


@pytest.mark.parametrize("ask", [zoo.load, zoo.card, lambda name: softrl.load(f"zoo/{name}")])
def test_a_wrong_name_is_one_line_with_the_nearest(ask):
    with pytest.raises(ConfigError) as error:
        ask("gym/HalfCheeta-v5")
    assert str(error.value).startswith(
        "unknown policy of the zoo 'gym/HalfCheeta-v5'; did you mean 'gym/HalfCheetah-v5'?"
    )
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("command", ["eval", "render", "export", "demonstrate"])
def test_a_wrong_name_leaves_nothing_behind(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    explained([command, "zoo/gym/Hoper-v5"], ["unknown policy of the zoo", "did you mean 'gym/Hopper-v5'"], capsys)
    assert list(tmp_path.iterdir()) == []


@each_policy
def test_a_card_says_all_and_describes_the_file_that_is_there(name):
    card, file = zoo.card(name), cards.POLICIES / f"{name}.safetensors"
    written = json.loads(file.with_suffix(".json").read_text())
    assert list(written) == list(zoo.Card._fields)
    assert [field for field, value in written.items() if value in (None, "") and field != "changes"] == []
    assert card.name == name and card.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert card.licence == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]
    assert card.episodes >= 20 and card.seed >= 2, "training looks at the episodes of seeds 0 and 1"
    assert card.task == card.config["env"]["env"] and card.algorithm == card.config["algorithm"]
    assert re.fullmatch("[0-9a-f]{40}", card.commit)
    kernels = {x.dtype.name for key, x in tensors.decode(file.read_bytes())[0].items() if key.endswith("/kernel")}
    assert kernels == {card.dtype}
    policy = zoo.load(name)
    assert policy.version == card.best_updates <= card.updates
    assert all(x.dtype == np.float32 for x in policy.arrays.values()), "a policy computes in float32"


def test_every_file_of_the_zoo_belongs_to_a_policy_and_all_are_small():
    files = [path for path in cards.POLICIES.rglob("*") if path.is_file()]
    expected = {cards.POLICIES / f"{name}{ending}" for name in zoo.names() for ending in (".json", ".safetensors")}
    assert set(files) == expected
    assert sum(path.stat().st_size for path in files) <= 10e6


def test_a_file_that_is_not_the_cards_is_refused(tmp_path, monkeypatch):
    shutil.copytree(cards.POLICIES, tmp_path / "policies")
    monkeypatch.setattr(cards, "POLICIES", tmp_path / "policies")
    file = tmp_path / f"policies/{SMALL}.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(TensorError, match=f"zoo/{SMALL}: its card says sha256"):
        zoo.load(SMALL)


def test_the_table_has_a_line_for_each_policy(capsys):
    said = called(["zoo"], capsys)
    assert said in (ROOT / "docs/zoo.md").read_text(), "the page shows another table"
    lines = said.splitlines()
    assert len(lines) == 1 + len(zoo.names())
    for name, line in zip(zoo.names(), lines[1:], strict=True):
        card = zoo.card(name)
        for word in (f"zoo/{name} ", f"{card.return_mean:,.1f} ±", card.algorithm, f"{card.steps:,}"):
            assert word in line


def test_a_policy_of_the_zoo_is_evaluated_and_exported_as_a_runs_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = called(["eval", f"zoo/{SMALL}", "--episodes", "1", "--seed", "7"], capsys)
    # Far above what any policy earns that stands still or falls over, far below any good episode.
    assert float(re.search(r"deterministic +return +([\d.]+)", said)[1]) > 0.5 * zoo.card(SMALL).return_mean
    assert list(tmp_path.iterdir()) == []
    called(["export", f"zoo/{SMALL}", "--format", "safetensors"], capsys)
    exported, kept = NumpyPolicy.load("policy.safetensors"), zoo.load(SMALL)
    assert exported.spec == kept.spec and exported.version == kept.version
    assert exported.arrays.keys() == kept.arrays.keys()
    for name, array in kept.arrays.items():
        np.testing.assert_array_equal(exported.arrays[name], array)


def test_a_policy_of_the_zoo_has_no_member_and_cannot_go_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    explained(["export", f"zoo/{SMALL}", "--member", "0"], [f"zoo/{SMALL} is one policy", "leave --member out"], capsys)
    with pytest.raises(ConfigError, match="no learner to go on with"):
        softrl.load(f"zoo/{SMALL}").resume(steps=200_000)


@pytest.mark.parametrize("command", (["report"], ["table"], ["train", "brax/pusher", "--from"]))
def test_what_needs_a_run_refuses_a_policy_of_the_zoo_in_one_line(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    explained([*command, f"zoo/{SMALL}"], [f"zoo/{SMALL} is a policy with its card", "softrl eval"], capsys)
    assert not (tmp_path / "runs").exists()


def test_a_directory_that_is_called_as_a_policy_goes_first(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path(f"zoo/{SMALL}").mkdir(parents=True)
    explained(["eval", f"zoo/{SMALL}"], ["is not a run"], capsys)


def test_without_gymnasium_its_policies_say_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    explained(["eval", f"zoo/{SMALL}"], ["gym/ environments need Gymnasium: pip install 'softrl[gym]'"], capsys)


def adding():
    """The command that adds policies, as a module."""
    spec = importlib.util.spec_from_file_location("adding", ROOT / "experiments/locomotion/zoo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_finished_run_becomes_a_policy_whose_card_is_true(tmp_path, monkeypatch, capsys):
    run = softrl.train(tiny.config(), out=tmp_path / "run", progress=False)
    monkeypatch.setattr(cards, "POLICIES", tmp_path / "policies")
    words = [str(tmp_path / "run"), "--out", str(cards.POLICIES), "--episodes", "20", "--seed", "2", "--name", "lq"]
    monkeypatch.setattr(sys, "argv", ["zoo.py", *words])
    adding().main()
    card, added = zoo.card("lq"), softrl.load("zoo/lq")
    assert zoo.names() == ("lq",) and f"{cards.POLICIES}/lq.safetensors" in capsys.readouterr().out
    returns = added.evaluate(episodes=20, seed=2).deterministic_return
    assert (card.return_mean, card.return_std) == (round(float(returns.mean()), 2), round(float(returns.std()), 2))
    assert softrl.preset(card.task, name=card.preset, **card.changes) == run.config
    assert (card.steps, card.updates, added.version) == (512, run.metrics[-1]["updates"], run.version)
    for name, x in acting(run.assembled, run.best_policy).arrays.items():
        half = card.dtype == "float16" and name.endswith("/kernel")
        np.testing.assert_array_equal(zoo.load("lq").arrays[name], x.astype(np.float16) if half else x)


@pytest.mark.parametrize(
    "more, words", [(["--seed", "1"], "seed must be from 2"), (["--episodes", "5"], "at least 20")]
)
def test_a_card_that_would_not_be_true_is_refused(more, words, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["zoo.py", "run", *more])
    with pytest.raises(SystemExit, match=words):
        adding().main()


@pytest.mark.slow
@each_policy
def test_a_cards_return_is_made_again_on_its_own_episodes(name):
    if name.startswith("playground/"):
        pytest.importorskip("mujoco_playground", reason="large; SOFTRL_EXTRAS=playground scripts/test --slow has it")
    card = zoo.card(name)
    returns = softrl.load(f"zoo/{name}").evaluate(episodes=card.episodes, seed=card.seed).deterministic_return
    # Three standard errors of a difference: other machines' rounding makes other episodes of the same beginnings.
    error = np.sqrt((card.return_std**2 + returns.var()) / card.episodes)
    assert abs(returns.mean() - card.return_mean) <= 3 * error
