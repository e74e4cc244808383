"""A sweep in a directory: killed at any moment, the same command ends with the same table, bit for bit."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from softrl import sweep
from softrl.errors import CheckpointError, ConfigError
from softrl.sweep import batch, folder, ledger, results
from softrl.training import programs
from tests.sweep import tiny

ROOT = Path(__file__).parents[2]
WORDS = tiny.spec({"critic_lr": [1e-3, 1e30, 3e-4]}, seeds=2)
"""Six members, two of which diverge."""


def start(directory: Path, environment: dict[str, str], *options: str) -> subprocess.Popen:
    """The real command in a process of its own."""
    command = [sys.executable, "-m", "softrl.cli", "sweep", str(directory.with_suffix(".toml")), *options]
    with open(directory.with_suffix(".log"), "w") as log:
        return subprocess.Popen(
            [*command, "--out", str(directory)], env=environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )


def finish(directory: Path, process: subprocess.Popen) -> str:
    """Waits for the end of a process and returns what the last one on this directory said."""
    process.wait(timeout=600)
    return directory.with_suffix(".log").read_text()


def written(directory: Path) -> int:
    """Bytes of ledger and metrics so far: how far a sweep has come."""
    # os.walk passes over a folder that is renamed or removed meanwhile; no *.jsonl ever is.
    files = (Path(folder) / name for folder, _, names in os.walk(directory) for name in names)
    return sum(file.stat().st_size for file in files if file.suffix == ".jsonl")


def wait_for(directory: Path, process: subprocess.Popen, size: int) -> None:
    """Returns when the sweep has written so many bytes, or has ended."""
    while process.poll() is None and written(directory) < size:
        time.sleep(0.005)


def truth(directory: Path) -> list[str]:
    """The ledger without what the clock decides, in order of its keys: a killed driver may write in another order."""
    lines = [{name: part for name, part in line.items() if name != "timing"} for line in ledger.read(directory)]
    return [json.dumps(line, sort_keys=True) for line in sorted(lines, key=lambda line: line["key"])]


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The undisturbed sweep that the others are compared with, in three batches of two."""
    out = tmp_path_factory.mktemp("calm") / "sweep"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(batch, "prepare", tiny.prepare)
        return sweep.run(WORDS, out, per_batch=2)


def test_ctrl_c_in_python_saves_the_sweep_and_then_stops_the_callers_next_line_too(calm, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "prepare", tiny.prepare)
    pressed = []

    def press_once(event):
        if event["event"] == "lines" and not pressed:
            pressed.append(signal.raise_signal(signal.SIGINT))

    with pytest.raises(KeyboardInterrupt, match="goes on") as stop:
        sweep.run(WORDS, tmp_path / "sweep", per_batch=2, listener=press_once)
    assert stop.value.result.stopped_by == signal.SIGINT
    again = sweep.run(WORDS, tmp_path / "sweep", per_batch=2)
    assert truth(again.directory) == truth(calm.directory)


def killed(directory: Path, environment: dict[str, str], kills: int, seed: int, expected: int) -> None:
    """Starts the command so many times, and kills it each time a little further on."""
    dice = random.Random(seed)
    directory.with_suffix(".toml").write_text(tiny.toml(WORDS))
    for kill in range(kills):
        process = start(directory, environment, "--per-batch", "2")
        wait_for(directory, process, int(expected * (kill + dice.random()) / kills))
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_once")
def test_a_killed_driver_that_goes_on_differently_would_be_another_sweep(calm, user_environment, tmp_path):
    out = tmp_path / "sweep"
    killed(out, user_environment, 1, 0, written(calm.directory))
    assert (out / "sweep.json").exists(), out.with_suffix(".log").read_text()
    sweep.run(WORDS, out, per_batch=2)
    assert (out / "results.csv").read_bytes() == (calm.directory / "results.csv").read_bytes()
    assert truth(out) == truth(calm.directory)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_ten_kills_of_the_driver_leave_no_trace(calm, user_environment, tmp_path, seed):
    out = tmp_path / "sweep"
    killed(out, user_environment, 10, seed + 1, written(calm.directory))
    process = start(out, user_environment, "--per-batch", "2")
    output = finish(out, process)
    assert process.returncode == 0, output
    assert (out / "results.csv").read_bytes() == (calm.directory / "results.csv").read_bytes()
    assert truth(out) == truth(calm.directory)


class Killed(BaseException):
    """Stands for the end of a process."""


@pytest.mark.usefixtures("compiled_once")
@pytest.mark.parametrize("moment", range(3, 28, 8))
def test_a_driver_that_ends_at_any_event_goes_on_to_the_same_table(calm, tmp_path, moment):
    told = []

    def listener(event):
        if event["event"] in ("chunk", "evaluation", "saved", "lines", "batch"):
            told.append(event["event"])
            if len(told) == moment:
                raise Killed

    with pytest.raises(Killed):
        sweep.run(WORDS, tmp_path, per_batch=2, listener=listener)
    again = sweep.run(WORDS, tmp_path)
    assert repr(again.results) == repr(calm.results)
    assert truth(tmp_path) == truth(calm.directory)


def test_a_finished_sweep_trains_nothing_again(calm, monkeypatch):
    before = truth(calm.directory), (calm.directory / "results.csv").read_bytes()
    monkeypatch.setattr("softrl.sweep.local.batch.train", None)
    assert repr(sweep.run(WORDS, calm.directory).results) == repr(calm.results)
    assert (truth(calm.directory), (calm.directory / "results.csv").read_bytes()) == before


def test_diverged_members_are_named_with_their_cause_and_are_not_the_winner(calm):
    assert [row.status for row in calm.results] == ["done", "done", "diverged", "diverged", "done", "done"]
    assert all("not finite" in row.cause for row in calm.results[2:4])
    best = sweep.best(calm.directory)
    assert best.cell.setting["critic_lr"] in (1e-3, 3e-4)
    assert f"--critic-lr {best.cell.setting['critic_lr']}" in best.command and best.command.endswith(
        "--seed 0 --seeds 2"
    )


@pytest.mark.slow
def test_one_trace_serves_a_group_whatever_its_batches(tmp_path, monkeypatch):
    traces, compiled = [], []
    chunk, compile_programs = programs.members.chunk, programs.compile_programs

    def counted(assembled):
        before = len(traces)
        made = compile_programs(assembled)
        compiled.append(len(traces) - before)
        return made

    monkeypatch.setattr(programs.members, "chunk", lambda *a, **k: traces.append(1) or chunk(*a, **k))
    monkeypatch.setattr("softrl.sweep.batch.compile_programs", counted)
    words = tiny.spec({"gamma": [0.8, 0.9, 0.95]}, steps=256, n_step=1)  # of no other test here
    done = sweep.run(words, tmp_path / "many", per_batch=2)
    assert len(done.results) == 3, "two batches"
    assert len(compiled) == 1 and compiled[0] > 0
    assert len(traces) == sum(compiled), "no batch traced again"


def test_a_spec_that_differs_from_the_sweep_in_the_directory_is_refused_and_nothing_is_lost(calm):
    before = {path: path.read_bytes() for path in calm.directory.rglob("*.json*")}
    for words, told in [
        (tiny.spec({"critic_lr": [1e-3, 1e30]}, seeds=2), "axes"),
        (tiny.spec({"critic_lr": [1e-3, 1e30, 3e-4]}, seeds=3), "seeds"),
        (tiny.spec({"critic_lr": [1e-3, 1e30, 3e-4]}, seeds=2, gamma=0.5), "base.gamma"),
        (tiny.spec({"critic_lr": [1e-3], "width": [8, 16]}), "2"),
    ]:
        with pytest.raises(ConfigError, match=f"holds another sweep.*{told}.*another --out"):
            sweep.run(words, calm.directory)
    assert {path: path.read_bytes() for path in calm.directory.rglob("*.json*")} == before


def test_a_damaged_sweep_json_is_told_and_not_overwritten(calm, tmp_path):
    (tmp_path / "sweep.json").write_text('{"format": 1, "gro')
    with pytest.raises(CheckpointError, match="is damaged"):
        sweep.run(WORDS, tmp_path)
    assert (tmp_path / "sweep.json").read_text() == '{"format": 1, "gro'


@pytest.mark.usefixtures("compiled_once")
def test_a_damaged_batch_json_is_told_and_the_same_command_writes_it_again(calm, tmp_path):
    def listener(event):
        if event["event"] == "saved":
            raise Killed

    with pytest.raises(Killed):
        sweep.run(WORDS, tmp_path, per_batch=2, listener=listener)
    path = tmp_path / "groups" / "g0" / "b0" / "batch.json"
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(CheckpointError, match=r"batch.json is damaged.*same sweep command writes it again"):
        batch.read(path.parent)
    assert repr(sweep.run(WORDS, tmp_path).results) == repr(calm.results)
    assert path.read_bytes() == good


@pytest.mark.slow
def test_a_signal_saves_says_so_and_the_same_command_goes_on(calm, user_environment, tmp_path):
    out = tmp_path / "sweep"
    out.with_suffix(".toml").write_text(tiny.toml(WORDS))
    process = start(out, user_environment, "--per-batch", "2")
    wait_for(out, process, written(calm.directory) // 3)
    process.send_signal(signal.SIGTERM)
    output = finish(out, process)
    if process.returncode != 0:
        assert (process.returncode, "the same command goes on" in output) == (143, True), output
    assert repr(sweep.run(WORDS, out).results) == repr(calm.results)


def test_a_launcher_that_gives_up_is_not_called_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("softrl.sweep.local.launch", lambda *arguments: None)
    with pytest.raises(Exception, match=r"returned without finishing g0/b0.*goes on"):
        sweep.run(tiny.spec({"gamma": [0.9]}), tmp_path)


@pytest.mark.usefixtures("compiled_once")
def test_a_full_device_says_how_many_members_fit_and_loses_nothing(tmp_path, monkeypatch):
    def full(*arguments):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.")

    monkeypatch.setattr("softrl.sweep.batch.advance", full)
    with pytest.raises(ConfigError, match=r"not enough memory for 2 members of group g0.*--per-batch 1"):
        sweep.run(WORDS, tmp_path, per_batch=2)
    assert (tmp_path / "sweep.json").exists()


def test_results_follow_from_the_directory_alone(calm):
    assert repr(results.gather(folder.read(calm.directory).members, ledger.read(calm.directory))) == repr(calm.results)
    assert [member.id for member in folder.read(calm.directory).members] == [row.member.id for row in calm.results]
