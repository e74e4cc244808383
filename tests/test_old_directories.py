"""What softrl wrote at commit b203bf6 still loads, reports and goes on; see tests/data/b203bf6/README.md."""

import csv
import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import softrl
from softrl import sweep
from softrl.envs import boxes
from softrl.learner import Learner, saved
from softrl.numpy_policy import NumpyPolicy
from softrl.reporting.report import page
from softrl.sweep import folder

pytestmark = pytest.mark.usefixtures("compiled_once")

DATA = Path(__file__).parent / "data" / "b203bf6"
EXPECTED = json.loads((DATA / "expected.json").read_text())

SAME = {"rtol": 1e-5, "atol": 1e-6}
"""One network, evaluated by another machine: float32 sums in another order."""

GONE_ON = {"rtol": 0.05, "atol": 0.02}
"""After some hundred updates those roundings have grown; where the old code ran the bits are equal."""


@pytest.fixture
def old(tmp_path):
    """A copy of an old directory, which may be changed."""

    def copied(name: str) -> Path:
        return Path(shutil.copytree(DATA / name, tmp_path / name))

    return copied


@pytest.mark.parametrize(("name", "steps"), [("run", 512), pytest.param("run-gym", 384, marks=pytest.mark.slow)])
def test_an_old_run_acts_reports_and_goes_on(name, steps, old):
    there, told = old(name), EXPECTED[name]
    run = softrl.load(there)
    own = partial(boxes.own, run.assembled.program.env.spec.action)  # it was told in [−1, 1]
    np.testing.assert_allclose(run.policy(np.float32(told["obs"])), own(np.float32(told["action"])), **SAME)
    assert [line["env_steps"] for line in run.metrics] == [line["env_steps"] for line in told["metrics"]]
    html = page.html(page.read(there))
    assert "critic_loss" in html and run.config.env.env in html
    resumed = run.resume(steps=steps)
    assert resumed.metrics[-1]["env_steps"] == steps and resumed.metrics[-1]["train"]["finite"] == [1.0]
    action = own(np.float32(told["resumed"]["action"]))
    np.testing.assert_allclose(resumed.policy(np.float32(told["obs"])), action, **GONE_ON)


def test_an_old_runs_settings_keep_their_places():
    config = softrl.load(DATA / "run").config
    assert (config.algorithm, config.replay.recency_horizon, config.training.n_step) == ("sac", 200.0, 3)
    assert (config.agent.norm, config.agent.residual) == ("layer", False)  # what was called layer_norm


def test_an_old_sweep_over_what_was_called_otherwise_can_be_gone_on_with_by_todays_names(old):
    there = old("sweep")
    about = json.loads((there / "sweep.json").read_text())
    about["base"]["layer_norm"] = True
    about["axes"].append({"name": "layer_norm", "kind": "list", "values": [True, False], "static": True})
    for row in (*about["groups"], *about["members"]):
        row["changes"]["layer_norm"] = True
    (there / "sweep.json").write_text(json.dumps(about))
    read = folder.read(there)
    assert read.about["base"]["norm"] == "layer" and "layer_norm" not in read.about["base"]
    assert (read.axes[-1].name, read.axes[-1].values) == ("norm", ("layer", "none"))
    assert [group.changes for group in read.groups] == [{"norm": "layer"}]
    assert all(member.changes.keys() == {"critic_lr", "norm"} for member in read.members)


def numbers(table: str) -> list[dict[str, float]]:
    rows = csv.DictReader(table.splitlines())
    return [{name: float(row[name]) for name in ("final_return", "best_return", "final_step")} for row in rows]


@pytest.mark.parametrize("name", ["sweep", pytest.param("sweep-stopped", marks=pytest.mark.slow)])
def test_an_old_sweep_reports_goes_on_and_has_its_winner(name, old):
    there, told = old(name), EXPECTED[name]
    assert "critic_lr" in page.html(page.read(there))
    done = sweep.run(DATA / "sweep.toml", out=there)
    assert done.stopped_by is None and {row.status for row in done.results} == {"done"}
    for now, then in zip(numbers((there / "results.csv").read_text()), numbers(told["results.csv"]), strict=True):
        assert now == pytest.approx(then, rel=GONE_ON["rtol"])
    assert "--critic-lr" in sweep.best(there).command


def test_an_old_learner_goes_on_where_it_was_saved(old):
    told = EXPECTED["learner"]
    with Learner.load(old("learner")) as learner:
        assert (learner.version, learner.stored, learner.demonstrations) == (10, 100, 20)
        assert learner.extra == told["extra"]
        acts = learner.act(np.float32(told["obs"]), deterministic=True)
        np.testing.assert_allclose(acts, told["act_deterministic"], **SAME)
        for name, array in learner.policy().arrays.items():
            if not name.startswith("action/"):
                np.testing.assert_allclose(array, told["policy"][name], **SAME)
        assert learner.step(5)["updates"] == 5.0


def test_an_old_learners_directory_still_gives_its_policy():
    told, found = EXPECTED["learner"], saved.newest(DATA / "learner").plain
    assert found.version == 10
    np.testing.assert_allclose(found(np.float32(told["obs"])), told["act_deterministic"], **SAME)


def test_an_old_policy_file_acts_as_it_did():
    told = EXPECTED["policy.safetensors"]
    policy = NumpyPolicy.load(DATA / "policy.safetensors")
    np.testing.assert_allclose(policy(np.float32(told["obs"])), told["action"], **SAME)
