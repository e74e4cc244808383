"""The environments of experiments/environments, as their users run them: train, kill, go on, export, sweep."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from softrl import cli, sweep
from softrl.storage import metrics
from tests import tiny

pytestmark = pytest.mark.usefixtures("compiled_once")

ROOT = Path(__file__).parents[2]
ENVS = {
    "point": "experiments.environments.point_mass:make_env",
    "arm": "experiments.environments.reaching_arm:Arm",
    "heat": "experiments.environments.thermostat:Thermostat",
}
SIZES = {"width": 8, "num_envs": 4, "n_step": 1, "updates_per_step": 1, "eval_every": 128, "eval_episodes": 1}
FLAGS = [
    word
    for name, value in {**tiny.SIZES, **SIZES, "steps": 1024}.items()
    if name != "env"
    for word in (f"--{name.replace('_', '-')}", str(value))
]


def killed(words: list[str], environment: dict[str, str], log: Path, directory: Path, lines: int) -> None:
    """Starts a run, in a process of its own, and kills it when it has written so many evaluations."""
    path = directory / "metrics.jsonl"
    with log.open("w") as said:
        command = [sys.executable, "-m", "softrl.cli", *words]
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
    while process.poll() is None and (not path.exists() or path.read_bytes().count(b"\n") < lines):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVS)
def test_an_environment_of_ones_own_trains_is_killed_goes_on_and_is_exported(name, tmp_path, user_environment):
    calm, run, log = tmp_path / "calm", tmp_path / "run", tmp_path / "log"
    words = ["train", ENVS[name], *FLAGS, "--no-video", "--out"]
    cli_answers([*words, str(calm)])
    killed([*words, str(run)], user_environment, log, run, 3)
    assert (run / "metrics.jsonl").exists(), log.read_text()
    cli_answers([*words, str(run)])
    ends = [metrics.read(directory / "metrics.jsonl")[-1] for directory in (calm, run)]
    assert ends[0]["env_steps"] == ends[1]["env_steps"] == 1024
    if name != "heat":  # a simulator on the host without snapshots begins new episodes
        assert ends[0]["state_sha256"] == ends[1]["state_sha256"]
    cli_answers(["export", str(run), "--format", "safetensors"])
    cli_answers(["eval", str(run), "--episodes", "1"])
    assert (run / "policy.safetensors").exists()


def cli_answers(words: list[str]) -> None:
    """The command in this process, which must succeed."""
    with pytest.raises(SystemExit) as done:
        cli.main(words)
    assert done.value.code == 0


@pytest.mark.slow
def test_environments_of_ones_own_are_an_axis_of_a_sweep(tmp_path):
    base = {name: value for name, value in {**tiny.SIZES, **SIZES, "steps": 256}.items() if name != "env"}
    spec = {"seeds": 1, "base": base, "axes": {"env": [ENVS["point"], "probe/bounded-lq"]}}
    done = sweep.run(spec, tmp_path / "sweep")
    assert [(row.member.changes["env"], row.status) for row in done.results] == [
        (ENVS["point"], "done"),
        ("probe/bounded-lq", "done"),
    ]
    told = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert told["groups"][0]["config"]["env"]["env"] == ENVS["point"]


@pytest.mark.slow
def test_arguments_of_an_environment_of_ones_own_are_an_axis_of_a_sweep(tmp_path):
    base = {name: value for name, value in {**tiny.SIZES, **SIZES, "steps": 128}.items() if name != "env"}
    axes = {"env": [ENVS["point"]], "env_kwargs": [{"mass": 1.0}, {"mass": 4.0}]}
    done = sweep.run({"base": base, "axes": axes}, tmp_path / "sweep")
    assert [row.member.changes["env"] for row in done.results] == [ENVS["point"]] * 2
    assert [row.status for row in done.results] == ["done", "done"]
    assert done.results[0].final_return != done.results[1].final_return
