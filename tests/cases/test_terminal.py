"""The command line where it does not find what it would like: a reader, Unicode, a device, 32 bits, a wide terminal."""

import contextlib
import io
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console

import softrl
from softrl import cli
from softrl.reporting import show, sweep_progress
from softrl.reporting.progress import ECHO, Progress, number
from softrl.storage import metrics
from softrl.sweep import folder, ledger, results
from tests import tiny
from tests.refused import explained
from tests.reporting import sweeps

pytestmark = pytest.mark.usefixtures("compiled_once")

ROOT = Path(__file__).parents[2]


def flags(**sizes) -> list[str]:
    words = {name: value for name, value in (tiny.SIZES | sizes).items() if name != "env"}
    return [word for name, value in words.items() for word in (f"--{name.replace('_', '-')}", str(value))]


@contextlib.contextmanager
def closed_pipe() -> Iterator[io.TextIOWrapper]:
    """A stream whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stream:
        yield stream


@pytest.mark.parametrize("arguments", [["envs"], ["train", "probe/death", "--help"], ["--version"]], ids=" ".join)
def test_a_reader_that_has_gone_is_no_error(arguments, monkeypatch, capsys):
    with closed_pipe() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with contextlib.suppress(SystemExit):
            cli.main(arguments)
    assert capsys.readouterr().err == ""


def test_training_goes_on_and_says_so_when_its_reader_has_gone(tmp_path, monkeypatch, capsys):
    with closed_pipe() as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(SystemExit) as exit_:
            cli.main(["train", "probe/bounded-lq", *flags(), "--no-video", "--out", str(tmp_path / "run")])
    assert exit_.value.code == 0
    assert capsys.readouterr().err == "softrl: nobody reads the standard output any more; the command goes on\n"
    assert metrics.read(tmp_path / "run" / "metrics.jsonl")[-1]["env_steps"] == 512


def test_help_can_be_read_in_ascii(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    with pytest.raises(SystemExit) as exit_:
        cli.main(["train", "probe/death", "--help"])
    text = written.getvalue().decode("ascii")
    assert exit_.value.code == 0
    assert "--num-envs INT" in text and "?" not in text


def test_a_device_that_is_not_there_is_one_line_and_softrl_is_a_module_too(user_environment, tmp_path):
    command = [sys.executable, "-m", "softrl", "train", "probe/bounded-lq", "--out", str(tmp_path / "never")]
    environment = user_environment | {"JAX_PLATFORMS": "cuda", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("softrl: JAX finds no device for JAX_PLATFORMS=cuda")
    assert done.stderr.count("\n") == 1 and not (tmp_path / "never").exists()


@pytest.mark.parametrize("env", ["probe/bounded-lq", "brax/fast"])
def test_64_bits_are_refused_in_one_line_where_simulators_have_32(env, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with jax.enable_x64(True):
        explained(["train", env], ["32 bits", "JAX_ENABLE_X64"], capsys)


@pytest.mark.parametrize("command", ["eval", "render"])
def test_other_commands_look_at_their_numbers_too(command, capsys):
    explained([command, "no-run", "--seed", "-1"], ["seed must be in [0, 2147483648), got -1"], capsys)


def test_an_interrupt_at_the_edge_of_the_terminal_leaves_one_bar():
    """A terminal shows ^C where the cursor is: at its edge that is another line, which Rich knows nothing of."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    with Progress.open(10, "brax/ant", console=console) as progress:
        progress.update(env_steps=5, eval_return=1.0, updates=10**12, updates_per_s=1e12, env_steps_per_s=1e12)
        assert 70 <= progress.line.cell_len <= 80 - ECHO


def test_an_evaluation_has_one_line_and_shows_its_own_return():
    config, console = tiny.config(), Console(file=io.StringIO(), force_terminal=False, width=80)
    with Progress.open(512, "probe", console=console) as progress:
        run = softrl.train(config, listener=show.RunWatcher(progress))
    lines = [line for line in console.file.getvalue().splitlines() if " of 512 steps" in line]
    told = [(record["env_steps"], float(np.mean(record["eval"]["return_mean"]))) for record in run.metrics]
    for steps, mean in told:
        (line,) = (line for line in lines if f" {steps} of" in line)
        assert f"return {number(mean)} " in line
    first = run.metrics[0]["timing"]
    assert first["wall_s"] >= first["compile_s"] > 0, "a run's time is all of it"


def test_tables_show_whole_names_at_80_columns(tmp_path):
    robots = ["brax/inverted_double_pendulum", "brax/humanoidstandup"]
    axes = {"env": robots, "temperature": [0.02, 0.5], "critic_lr": [1e-3, 1e-4]}
    out = sweeps.made(tmp_path / "grid", {"seeds": 2, "axes": axes})
    console = Console(file=io.StringIO(), width=80)
    sweep_progress.show_table(results.gather(folder.read(out).members, ledger.read(out)), console)
    lines = console.file.getvalue().splitlines()
    assert [line for line in lines if line in robots] == robots
    assert not any("…" in line for line in lines)


def test_a_sweeps_time_to_go_counts_the_groups_that_are_not_compiled_yet():
    console, seconds = Console(file=io.StringIO(), force_terminal=False, width=80), iter(range(0, 100, 10))
    with contextlib.ExitStack() as stack:
        watcher = sweep_progress.SweepWatcher(stack, console)
        watcher.progress = stack.enter_context(Progress.open(400, "4 members", console=console))
        watcher.progress.clock = lambda: float(next(seconds))
        watcher.groups = {name: [f"m{name}"] for name in "abcd"}
        watcher.ended = {"md": "done"}  # by a session before
        job = types.SimpleNamespace(members=(types.SimpleNamespace(id="ma"),), group="a")
        watcher({"event": "batch", "job": job})
        watcher({"event": "compiled", "seconds": 30.0})
        for steps in (40, 80):
            watcher(
                {"event": "chunk", "env_steps": steps, "env_steps_per_s": 4.0, "updates_per_s": 4.0, "evaluates": False}
            )
    # 320 steps at 4 a second, and the programs of b and c.
    assert console.file.getvalue().splitlines()[-1].endswith("2 min 20 s left")
