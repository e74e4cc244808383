"""Sweeps in processes of this machine, each with cores of its own: killed ones go on, and none outlives its driver."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from softrl.cli_sweep import SweepOptions, launcher_options
from softrl.errors import ConfigError
from softrl.sweep import driver, processes
from softrl.sweep.plan import plan
from softrl.sweep.spec import load
from softrl.training import lanes
from softrl.training.signals import Request
from tests.sweep import tiny, wild

ROOT = Path(__file__).parents[2]
HOSTED = tiny.spec({"critic_lr": [1e-3, 3e-4]}, env="gym/Pendulum-v1", num_envs=1, episode_length=50, chunk_steps=16)
"""Two members whose simulators are on the host, so two batches."""


def is_worker(words: list[str]) -> bool:
    return words[1:3] == ["-m", "softrl.sweep.worker"]


def test_cores_are_shared_out_whole_and_none_twice():
    assert processes.shared_out([2, 3, 5, 7, 8], 2) == [(2, 3), (5, 7)]
    for wrong in (0, 1.5, 6):
        with pytest.raises(ConfigError, match=rf"cpus must be from 1 to 5 whole cores .* got {wrong}"):
            processes.shared_out([2, 3, 5, 7, 8], wrong)


def test_only_members_that_cannot_share_a_program_train_beside_each_other_and_only_as_memory_allows(monkeypatch):
    monkeypatch.setattr(lanes, "cores", lambda: [0, 1, 2])
    hosted = plan(load(HOSTED), memory_bytes=2**40)
    assert processes.beside(hosted) == 2, "a batch each"
    assert processes.beside(hosted._replace(memory=2**30)) == 1
    assert processes.beside(plan(load(wild.WORDS), memory_bytes=2**40)) == 1


def test_an_option_that_processes_do_not_have_is_named(tmp_path):
    assert launcher_options(SweepOptions("spec.toml", launcher="processes", cpus=2)) == {"cpus": 2}
    with pytest.raises(ConfigError, match="--launcher processes does not take --address"):
        launcher_options(SweepOptions("spec.toml", launcher="processes", address="auto"))
    with pytest.raises(ConfigError, match="launcher processes has no option 'gpus'"):
        processes.launch([tmp_path], lambda where, what: None, Request(), lambda event: None, {"gpus": 1})


@pytest.mark.slow
def test_simulators_on_the_host_train_beside_each_other_unless_told_otherwise(tmp_path):
    beside = driver.run(HOSTED, tmp_path / "beside")
    logs = sorted((tmp_path / "beside").glob(f"groups/*/*/{processes.LOG}"))
    assert len(logs) == (2 if len(lanes.cores()) > 1 else 0), "each batch had a process"
    one = driver.run(HOSTED, tmp_path / "one", launcher="local")
    assert not list((tmp_path / "one").glob(f"groups/*/*/{processes.LOG}"))
    assert [row.status for row in beside.results] == [row.status for row in one.results] == ["done"] * 2


@pytest.mark.slow
def test_a_killed_process_is_started_again_and_the_table_is_the_calm_ones(tmp_path):
    calm = driver.run(wild.WORDS, tmp_path / "calm", per_batch=2, launcher="local")
    lost, done = [], {}

    def sweep():
        listen = lambda event: lost.append(event) if event["event"] == "lost" else None
        done["run"] = driver.run(wild.WORDS, tmp_path / "wild", per_batch=2, launcher="processes", listener=listen)

    thread = threading.Thread(target=sweep)
    thread.start()
    killed = 0
    while thread.is_alive() and not killed:
        if wild.begun(tmp_path / "wild"):
            killed = wild.kill_child(is_worker)
        thread.join(0.02)
    thread.join()
    assert killed and len(lost) == 1 and str(killed) in lost[0]["cause"], lost
    assert wild.table(tmp_path / "wild") == wild.table(tmp_path / "calm") and done["run"].results == calm.results
    assert wild.lines(tmp_path / "wild") == wild.lines(tmp_path / "calm"), "each member and evaluation exactly once"


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_its_driver_and_the_same_command_goes_on(ending, tmp_path):
    calm = driver.run(wild.WORDS, tmp_path / "calm", per_batch=2, launcher="local")
    spec, out = tmp_path / "spec.toml", tmp_path / "wild"
    spec.write_text(tiny.toml(wild.WORDS))
    command = [sys.executable, "-m", "softrl", "sweep", str(spec), "--out", str(out), "--per-batch", "2"]
    command += ["--launcher", "processes"]
    sweep = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    while not wild.begun(out):
        assert sweep.poll() is None
        time.sleep(0.02)
    workers = [process for process in psutil.Process(sweep.pid).children() if is_worker(process.cmdline())]
    os.kill(sweep.pid, ending)
    assert sweep.wait() == (-signal.SIGKILL if ending == signal.SIGKILL else 128 + signal.SIGINT)
    assert workers and not psutil.wait_procs(workers, timeout=60.0)[1]
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    assert wild.table(out) == wild.table(tmp_path / "calm") and len(calm.results) == 8
