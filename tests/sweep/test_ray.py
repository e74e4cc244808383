"""Sweeps on a real Ray cluster: workers and machines are killed, and the table is the calm run's."""

import importlib
import signal
import threading

import pytest

from softrl.errors import ConfigError
from softrl.sweep import driver, ray
from softrl.training.signals import Request
from tests.sweep import wild

pytestmark = pytest.mark.filterwarnings("ignore")  # what Ray and its forks warn of is not ours

BATCHES = 4


def test_without_ray_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(ray.importlib, "import_module", missing)
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


@pytest.mark.slow
def test_workers_and_a_machine_are_killed_and_the_table_is_the_calm_ones(tmp_path):
    """Two machines; one worker of each batch is killed after its metrics have begun, and one machine goes for good."""
    pytest.importorskip("ray", reason="no ray: pip install -e .[ray]")
    utils = importlib.import_module("ray.cluster_utils")
    calm = driver.run(wild.WORDS, tmp_path / "calm", per_batch=2)
    cluster = utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    other = cluster.add_node(num_cpus=1)
    lost, done = [], {}

    def listen(event):
        if event["event"] == "lost":
            lost.append(event["directory"].name)

    def sweep():
        options = {"address": cluster.address}
        done["run"] = driver.run(
            wild.WORDS, tmp_path / "wild", per_batch=2, launcher="ray", options=options, listener=listen
        )

    thread = threading.Thread(target=sweep)
    thread.start()
    try:
        killed = set()
        while thread.is_alive() and len(killed) < BATCHES:
            # Ray names a worker's process by its task.
            new = wild.begun(tmp_path / "wild") - killed
            killed |= {
                name for name in new if wild.kill_child(lambda words, name=name: words[:1] == [f"ray::g0/{name}"])
            }
            if len(killed) == 2 and other is not None:
                cluster.remove_node(other, allow_graceful=False)
                other = None
            thread.join(0.02)
        thread.join()
    finally:
        cluster.shutdown()
    assert len(killed) == BATCHES and len(lost) >= BATCHES, lost
    assert wild.table(tmp_path / "wild") == wild.table(tmp_path / "calm")
    assert done["run"].results == calm.results
    assert wild.lines(tmp_path / "wild") == wild.lines(tmp_path / "calm"), "each member and evaluation exactly once"
