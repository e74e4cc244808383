"""`softrl table` of what `softrl sweep` and `softrl train` really leave behind."""

import contextlib
import json

import jax.numpy as jnp
import numpy as np
import pytest

from softrl import cli, preset
from softrl.config import change, flat
from softrl.envs import families
from softrl.reporting.table import gather, runs
from softrl.sweep import batch, folder, spec
from softrl.sweep.ledger import Ledger
from softrl.sweep.plan import plan
from softrl.training import identity
from softrl.training.assemble import assemble
from tests import wanderer
from tests.sweep import tiny as sweeps

pytestmark = pytest.mark.usefixtures("compiled_once")


def called(*words):
    """The command line, which ends well."""
    with pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in words])
    assert not end.value.code


@pytest.mark.slow
def test_a_real_sweep_and_its_run_directories_become_a_table_of_settings(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(batch, "prepare", sweeps.prepare)
    words = sweeps.spec({"temperature": [0.05, 0.5]}, seeds=2, env="probe/death")
    (tmp_path / "spec.toml").write_text(sweeps.toml(words))
    asked = flat(change(spec.load(words).config, temperature=0.05))
    asked = {name: value for name, value in asked.items() if name not in runs.NOT_ITS_OWN}
    called("sweep", tmp_path / "spec.toml", "--out", tmp_path / "sweep")
    capsys.readouterr()
    called("table", tmp_path / "sweep", "--at-steps", 256)
    text = capsys.readouterr().out
    assert "sac tuned · temperature 0.05" in text and "**Return at 256 steps.**" in text
    assert "**Probability of improvement: final return.**" in text and "Not at their last step" not in text
    called("table", tmp_path / "sweep", "--out", tmp_path / "table.json")
    found = json.loads((tmp_path / "table.json").read_text())
    assert {name: np.shape(rows) for name, rows in found.items()} == {
        "sac tuned · temperature 0.05": (2, 1),
        "sac tuned · temperature 0.5": (2, 1),
    }
    rows = (tmp_path / "sweep" / "results.csv").read_text().splitlines()
    final = sorted(float(row.split(",")[rows[0].split(",").index("final_return")]) for row in rows[1:])
    read = gather.read(tmp_path / "sweep")
    assert sorted(one.curve["return"][-1] for one in read) == final, "the last evaluation, as results.csv has it"
    assert all((np.diff(one.curve["seconds"]) >= 0).all() for one in read)
    (run,) = {path.parent for path in (tmp_path / "sweep" / "groups").rglob("config.json")}
    members = gather.read(run)
    for whole, member in zip(read, members, strict=True):
        assert (member.task, member.algorithm, member.seed) == (whole.task, whole.algorithm, whole.seed)
        assert member.setting["temperature"] == whole.setting["temperature"] and member.finished
        np.testing.assert_array_equal(member.curve["return"], whole.curve["return"])
    assert made_of(members[0]) == asked, "the nearest preset and what differs from it are the run's own config"


def made_of(result):
    """The settings of a preset with a result's own, without those that are no part of an algorithm."""
    own = preset(result.task, name=result.preset, algorithm=result.algorithm, platform="cpu")
    return {name: value for name, value in flat(change(own, **result.setting)).items() if name not in runs.NOT_ITS_OWN}


def run_of(directory, config, how=(), **pieces):
    """A run's directory as training leaves it, with one evaluation, that nobody trained."""
    directory.mkdir(exist_ok=True)
    identity.write(directory, assemble(config, **pieces)._replace(**dict(how)))
    record = {"env_steps": 64, "updates": 1, "eval": {"return_mean": [1.0], "stochastic_return_mean": [1.0]}}
    (directory / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    return gather.read(directory)[0]


def test_other_arguments_of_an_environment_are_another_task_and_no_other_seed(tmp_path):
    for name, kwargs in (("plain", "{}"), ("paid", '{"forward_reward_weight": 2}')):
        run_of(tmp_path / name, change(preset("gym/HalfCheetah-v5"), env_kwargs=kwargs))
    paid, plain = gather.read(tmp_path)
    assert paid.task == "gym/HalfCheetah-v5 (forward_reward_weight 2)" and plain.task == "gym/HalfCheetah-v5"
    assert (paid.preset, paid.setting) == (plain.preset, plain.setting) == ("tuned", {})


def test_runs_that_began_from_another_or_were_judged_elsewhere_are_other_columns(tmp_path, monkeypatch):
    monkeypatch.setattr(
        families, "_REGISTERED", {"mine/here": wanderer.continuous(), "mine/there": wanderer.continuous()}
    )
    config = preset("mine/here")
    plain, inherited, judged = (
        run_of(tmp_path / name, config, how=how, **pieces)
        for name, how, pieces in (
            ("a", {}, {}),
            ("b", {"origin": "/runs/old"}, {}),
            ("c", {}, {"evaluation_env": "mine/there"}),
        )
    )
    assert (plain.setting, inherited.setting, judged.setting) == (
        {}, {"from": "/runs/old"}, {"evaluation_env": "mine/there"},
    )  # fmt: skip


def test_sweeps_of_other_bases_are_no_seeds_of_one_setting_and_losers_of_a_search_are_left_out(tmp_path):
    for name, gamma, seeds in (("a", 0.5, [0, 1]), ("b", 0.9, [2, 3])):
        sweep_of(tmp_path / name, sweeps.spec({"critic_lr": [1e-3]}, seeds=seeds, gamma=gamma, env="probe/death"))
    found = gather.read(tmp_path)
    assert [(one.seed, one.setting["gamma"], one.setting["critic_lr"]) for one in found] == [
        (0, 0.5, 1e-3), (1, 0.5, 1e-3), (2, 0.9, 1e-3), (3, 0.9, 1e-3),
    ]  # fmt: skip
    assert all(one.setting["width"] == sweeps.BASE["width"] for one in found), "what the base has beside the preset"
    halved = sweeps.spec({"critic_lr": [1e-3, 1e-4]}, search={"method": "halving", "eta": 2, "rungs": 2})
    stopped = {"key": "loser", "kind": "stopped", "member": "m1", "step": 256, "cause": "place 2 of 2"}
    sweep_of(tmp_path / "halved", halved, [stopped])
    assert [one.seed for one in gather.read(tmp_path / "halved")] == [0]


def sweep_of(out, words, more=()):
    """A sweep's directory whose members have one evaluation each, that nobody trained."""
    made = plan(spec.load(words))
    groups = tuple(one.group for one in made.groups)
    out.mkdir()
    folder.agree(out, folder.describe(made.spec, groups, identity.surroundings()))
    look = {"kind": "evaluation", "step": 256, "updates": 9, "return_mean": 1.0}
    with contextlib.closing(Ledger(out)) as lines:
        members = [member for group in groups for member in group.members]
        lines.add([{"key": f"{member.id}/look", "member": member.id, **look} for member in members])
        lines.add(list(more))


def prior(obs, action):
    return -jnp.sum(action**2, axis=-1)


def test_runs_in_an_environment_that_lived_in_a_process_are_told_apart_by_their_settings(tmp_path):
    found = [
        run_of(tmp_path, change(preset(walker := wanderer.continuous()), **changes), env=walker, **pieces)
        for changes, pieces in (({}, {}), ({"gamma": 0.5}, {}), ({}, {"log_prior": prior}))
    ]
    assert [one.preset for one in found] == ["tuned"] * 3
    (plain, short, priced) = (dict(one.setting) for one in found)
    assert short == plain | {"gamma": 0.5}
    assert priced == plain | {"log_prior": "tests.reporting.test_table_of_runs.prior"}
