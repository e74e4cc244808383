"""The best of a sweep: one for each task, since returns of two robots say nothing of each other."""

import re

import pytest

from softrl import cli, sweep
from softrl.errors import ConfigError
from softrl.reporting.report import data, page
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
