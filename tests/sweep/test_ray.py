"""Sweeps on a real Ray cluster: workers and machines are killed, and the table is the calm run's."""

import contextlib
import importlib
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from softrl.errors import ConfigError
from softrl.sweep import driver, ledger, ray
from softrl.training.signals import Request
from tests.sweep import tiny, wild

pytestmark = pytest.mark.filterwarnings("ignore")  # what Ray and its forks warn of is not ours

ROOT = Path(__file__).parents[2]
BATCHES, KILLS = 8, 3
EVERY = 5
"""Evaluations between two shots at the workers; a batch makes nine."""


def test_without_ray_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(ConfigError, match=r"pip install 'softrl\[ray\]'"):
        ray.launch([tmp_path], lambda where, what: None, Request(), lambda event: None, {})


def test_an_address_without_a_cluster_is_refused_with_what_to_do(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="no ray: pip install -e .[ray]")
    module = importlib.import_module("ray")

    def unreachable(**options):
        raise ConnectionError("Could not find any running Ray instance.")  # what Ray 2.60 raises

    monkeypatch.setattr(module, "init", unreachable)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ConfigError, match=r"no Ray cluster at address 'auto'.*ray start --head"):
        ray.launch([tmp_path], lambda where, what: None, Request(), lambda event: None, {"address": "auto"})
    assert signal.getsignal(signal.SIGTERM) is before, "the signals are the driver's request to stop"


def test_a_batch_that_no_machine_can_hold_is_refused_instead_of_waiting_for_ever():
    class TwoMachines:
        def nodes(self):
            return [
                {"Alive": True, "Resources": {"CPU": 4.0}},
                {"Alive": True, "Resources": {"CPU": 2.0, "GPU": 1.0}},
                {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
            ]

    assert ray._resources(TwoMachines(), {**ray.OPTIONS}) == {"num_cpus": 1.0, "num_gpus": 1.0, "resources": {}}
    half = ray._resources(TwoMachines(), {**ray.OPTIONS, "gpus": 0.5})
    assert half["num_gpus"] == 0.5, "two batches share an accelerator"
    with pytest.raises(ConfigError, match="a batch asks for 3 CPU, 1 GPU, and no machine"):
        ray._resources(TwoMachines(), {**ray.OPTIONS, "cpus": 3.0})


@pytest.fixture
def cluster(monkeypatch):
    """The first machine of a Ray cluster, with room for one batch; all its processes are this one's."""
    pytest.importorskip("ray", reason="no ray: pip install -e .[ray]")
    # By default Ray's workers yield to everything else, and on a busy machine get nowhere.
    monkeypatch.setenv("RAY_worker_niceness", "0")
    utils = importlib.import_module("ray.cluster_utils")
    made = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield made
    made.shutdown()


@pytest.mark.slow
def test_every_batch_s_worker_is_killed_thrice_and_each_evaluation_is_told_once(cluster, tmp_path):
    """Eight batches, 24 kills; one of the two machines goes for good in the midst of it, and later another joins."""
    calm = driver.run(wild.MANY, tmp_path / "calm", per_batch=2)
    machines = [cluster.add_node(num_cpus=1)]
    lost, done, out = [], {}, tmp_path / "wild"

    def listen(event):
        if event["event"] == "lost":
            lost.append(event["directory"].name)

    def sweep():
        options = {"address": cluster.address}
        done["run"] = driver.run(wild.MANY, out, per_batch=2, launcher="ray", options=options, listener=listen)

    thread = threading.Thread(target=sweep)
    thread.start()
    killed: Counter[str] = Counter()
    while thread.is_alive():
        for name, count in wild.evaluations(out).items():
            if killed[name] < KILLS and count > killed[name] + 1:
                killed[name] += wild.kill_child(lambda words, name=name: wild.ray_task(words, f"g0/{name}")) > 0
        if killed.total() >= 8 and len(machines) == 1:
            cluster.remove_node(machines[0], allow_graceful=False)
            machines.append(None)
        if killed.total() >= 12 and len(machines) == 2:
            machines.append(cluster.add_node(num_cpus=1))
        thread.join(0.02)
    assert killed == dict.fromkeys(wild.evaluations(out), KILLS) and len(killed) == BATCHES
    assert len(lost) >= BATCHES * KILLS, lost
    assert wild.table(out) == wild.table(tmp_path / "calm")
    assert done["run"].results == calm.results
    assert wild.lines(out) == wild.lines(tmp_path / "calm"), "each member and evaluation exactly once"


def start(out: Path, address: str, environment: dict[str, str]) -> subprocess.Popen:
    """The driver, in a process of its own."""
    words = ["--per-batch", "2", "--launcher", "ray", "--address", address, "--out", str(out)]
    command = [sys.executable, "-m", "softrl.cli", "sweep", str(out.with_suffix(".toml")), *words]
    with open(out.with_suffix(".log"), "w") as log:
        return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def shoot_until(stop, process: subprocess.Popen, out: Path, dice: random.Random) -> int:
    """Kills 30 % of the workers whenever some more evaluations were written, until `stop()` or the driver's end."""
    shot, seen = 0, 0
    while process.poll() is None and not stop():
        now = sum(wild.evaluations(out).values())
        seen = min(seen, now)  # a worker that begins again takes its evaluations back
        if now >= seen + EVERY:
            seen = now
            for worker in wild.children(wild.ray_task):
                if dice.random() < 0.3:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        worker.kill()
                        shot += 1
        time.sleep(0.02)
    return shot


@pytest.mark.slow
def test_ten_kills_of_the_driver_and_a_third_of_the_workers_again_and_again_leave_no_trace(
    cluster, user_environment, tmp_path
):
    calm, out, dice = tmp_path / "calm", tmp_path / "wild", random.Random(4)
    driver.run(wild.WORDS, calm, per_batch=2)
    cluster.add_node(num_cpus=1)
    out.with_suffix(".toml").write_text(tiny.toml(wild.WORDS))
    expected, shot = len(ledger.read(calm)), 0
    for kill in range(10):
        process, enough = start(out, cluster.address, user_environment), expected * (kill + dice.random()) / 11
        shot += shoot_until(lambda enough=enough: len(ledger.read(out)) >= enough, process, out, dice)
        process.kill()
        assert process.wait() == -signal.SIGKILL, out.with_suffix(".log").read_text()
    process = start(out, cluster.address, user_environment)
    shot += shoot_until(lambda: False, process, out, dice)
    assert process.wait() == 0, out.with_suffix(".log").read_text()
    assert shot > 0
    assert wild.table(out) == wild.table(calm)
    assert wild.lines(out) == wild.lines(calm), "each member and evaluation exactly once"
