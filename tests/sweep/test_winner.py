"""The best of a sweep: one for each task, since returns of two robots say nothing of each other."""

import contextlib
import math
import re
import shutil

import pytest

from softrl import cli, sweep
from softrl.errors import ConfigError
from softrl.reporting.report import data, page
from softrl.sweep import folder, results
from softrl.sweep.ledger import Ledger
from tests.sweep import tiny

WORDS = tiny.spec({"env": ["probe/bounded-lq", "probe/constant-reward"]}, seeds=2, steps=256)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A finished sweep over a task of negative returns and one whose returns are its lengths."""
    return sweep.run(WORDS, tmp_path_factory.mktemp("tasks") / "sweep").directory


def test_every_task_has_its_own_winner_and_command(out):
    found = sweep.bests(out)
    assert list(found) == ["probe/bounded-lq", "probe/constant-reward"]
    for task, best in found.items():
        assert f"softrl train {task} " in best.command
        assert sweep.best(out, task) == best and best.member.changes["env"] == task
    with pytest.raises(ConfigError, match=r"probe/bounded-lq, probe/constant-reward.*task="):
        sweep.best(out)
    with pytest.raises(ConfigError, match="did you mean 'probe/bounded-lq'"):
        sweep.best(out, "probe/bounded-lp")


def test_the_command_line_and_the_page_show_a_best_of_each_task(out, capsys):
    with pytest.raises(SystemExit):
        cli.main(["best", str(out)])
    assert len(re.findall("^softrl train probe/", capsys.readouterr().out, re.M)) == 2
    told = page.read(out)
    assert [member.task for member in data.bests(told.members)] == ["probe/bounded-lq", "probe/constant-reward"]
    html = page.html(told)
    assert "Best member of each robot" in html and "best return" not in html


def test_returns_that_are_no_numbers_have_no_winner(out, tmp_path, capsys):
    copy = shutil.copytree(out, tmp_path / "sweep")
    ids = [row.member.id for row in results.gather(folder.read(copy).members, [])]
    with contextlib.closing(Ledger(copy)) as ledger:
        about = {"kind": "evaluation", "step": 10**6, "return_mean": math.nan}
        ledger.add([{"key": f"{member}/last", "member": member, **about} for member in ids])
    with pytest.raises(SystemExit) as left:
        cli.main(["best", str(copy)])
    assert left.value.code == 2 and "no member of" in (said := capsys.readouterr().err) and "finite return" in said


def test_members_that_train_alone_are_won_by_a_command_of_one_seed(tmp_path):
    """As those of a simulator on the host, which refuses several."""
    alone = sweep.run(tiny.spec({"gamma": [0.9]}, seeds=2, steps=256), tmp_path, per_batch=1).directory
    best = sweep.best(alone)
    assert "--seeds" not in best.command and best.command.endswith(f"--seed {best.member.member.seed}")


@pytest.mark.usefixtures("compiled_once")
def test_a_setting_of_which_most_runs_diverged_does_not_win_by_the_one_that_did_not(tmp_path):
    words = tiny.spec({"critic_lr": [1e-3, 1e-2]}, seeds=3, steps=128)
    rows = sweep.run(words, tmp_path).results
    first = sweep.best(tmp_path)
    mine = [row.member.id for row in rows if row.changes == first.cell.setting]
    with contextlib.closing(Ledger(tmp_path)) as ledger:
        for member in mine[:2]:
            about = {"member": member, "step": 128, "cause": "critics were not finite"}
            ledger.add([{"key": f"{member}/diverged", "kind": "diverged", **about}])
            look = {"key": f"{member}/worse", "kind": "evaluation", "member": member, "step": 129, "return_mean": -1e9}
            ledger.add([look])
    best = sweep.best(tmp_path)
    assert best.cell.setting != first.cell.setting and best.cell.diverged == 0
