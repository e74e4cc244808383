"""The launcher for Ray: each batch a task somewhere on a cluster, or on a Ray that is started here.

    ray start --head                                   # on one machine
    ray start --address=HOST:6379                      # on each other machine
    softrl sweep spec.toml --launcher ray --address auto

All machines must see the sweep's directory under the same path, and have the same softrl installed.
"""

import contextlib
import os
import signal
import threading
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from softrl.errors import ConfigError, library
from softrl.sweep import worker
from softrl.sweep.cluster import LostError, Report, chosen, supervise
from softrl.sweep.worker import TaskResult
from softrl.training.session import Listener
from softrl.training.signals import Request

OPTIONS: Mapping[str, Any] = {"address": None, "cpus": 1.0, "gpus": None, "resources": {}, "most": 10**9}
"""address: `auto`, or host:port of a cluster; None starts Ray on this machine. cpus, gpus: of one batch, fractions
allowed; gpus None is 1 where the cluster has any, else 0. resources: of one batch, `{"TPU": 4}`, say. most: tasks at a
time."""


def launch(
    directories: Sequence[Path], report: Report, request: Request, listener: Listener, options: Mapping[str, Any]
) -> None:
    """Trains batches as Ray tasks until all are finished or `request` asks to stop; see `softrl.sweep.local.launch`.

    A task whose process or machine is lost is submitted again and goes on from its newest checkpoint.

    Raises: ConfigError where Ray is not installed, there is no cluster at the address, or none of its machines has what
    a batch asks for.
    """
    wanted = chosen(options, OPTIONS, "ray")
    with _connected(wanted["address"], listener) as ray:
        cluster = RayCluster(ray, _resources(ray, wanted))
        supervise(cluster, directories, report, request, listener, most=wanted["most"])


class RayCluster:
    """A Ray cluster as a `softrl.sweep.cluster.Cluster`; its tasks are object references."""

    def __init__(self, ray: Any, resources: Mapping[str, Any]):
        """`ray`: the module, connected. `resources`: of one task, as `ray.remote` names them."""
        self.ray = ray
        # No retries of Ray's own: the loop hands a lost batch out again, and knows whether it got any further.
        self.options = {
            **resources,
            "max_retries": 0,
            "scheduling_strategy": "SPREAD",
            "runtime_env": {"env_vars": worker.environment(float(resources.get("num_gpus", 0.0)))},
        }
        self.task = ray.remote(worker.run_batch)

    def submit(self, directories: Sequence[Path]) -> list[Hashable]:
        """One task a batch, wherever its resources are free first."""
        return [
            self.task.options(**self.options, name="/".join(where.parts[-2:])).remote(str(where.absolute()))
            for where in directories
        ]

    def wait(self, tasks: Sequence[Hashable], seconds: float) -> list[Hashable]:
        """As `Cluster.wait`."""
        ended, _ = self.ray.wait(list(tasks), num_returns=1, timeout=seconds)
        more, _ = self.ray.wait(list(tasks), num_returns=len(tasks), timeout=0)
        return list(dict.fromkeys([*ended, *more]))

    def result(self, task: Hashable) -> TaskResult:
        """As `Cluster.result`."""
        try:
            return TaskResult(*self.ray.get(task))
        except self.ray.exceptions.RayError as error:
            raise LostError(_last_line(error)) from error

    def stop(self, tasks: Sequence[Hashable]) -> None:
        """Interrupts tasks as Ctrl-C would: the worker finishes its chunk and saves."""
        for task in tasks:
            with contextlib.suppress(self.ray.exceptions.RayError):
                self.ray.cancel(task, force=False)


def _last_line(error: Exception) -> str:
    """The line of Ray's long stories that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1][:300] if type(error).__name__ == "RayTaskError" else f"{type(error).__name__}: {lines[0][:300]}"


@contextlib.contextmanager
def _connected(address: str | None, listener: Listener) -> Iterator[Any]:
    """The module `ray`, connected to a cluster; it is left again at the end, and stopped where it was started here."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = library("ray", "--launcher ray needs Ray (or use --launcher local)", "ray")
    if ray.is_initialized():  # by whoever called: theirs to shut down
        yield ray
        return
    here = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT) if here}
    try:
        place = {"include_dashboard": False} if address in (None, "local") else {}
        with warnings.catch_warnings():
            # Ray starts programs: what its fork copies is replaced at once, so JAX's threads are not missed.
            warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
            ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **place)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(_unreachable(address, error)) from error
    finally:
        # Ray takes the signals for itself; they are the driver's request to stop.
        for number, handler in handlers.items():
            signal.signal(number, handler)
    nodes = sum(node["Alive"] for node in ray.nodes())
    listener({"event": "connected", "nodes": nodes, "resources": ray.cluster_resources()})
    try:
        yield ray
    finally:
        ray.shutdown()


def _unreachable(address: str | None, error: Exception) -> str:
    reason = " ".join(str(error).split())[:300]
    if address in (None, "local"):
        return f"Ray could not be started here: {reason}"
    return (
        f"no Ray cluster at address {address!r}: start one with `ray start --head` and join other machines with "
        f"`ray start --address=HOST:6379`, or leave --address out to start Ray here ({reason})"
    )


def _resources(ray: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What a task asks for.

    Raises: ConfigError where no machine of the cluster has as much; a task would wait for ever.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = wanted["gpus"]
    if gpus is None:
        gpus = 1.0 if any(machine.get("GPU") for machine in machines) else 0.0
    asked = {"CPU": wanted["cpus"], "GPU": gpus, **wanted["resources"]}
    if not any(all(machine.get(name, 0.0) >= count for name, count in asked.items()) for machine in machines):
        spelled = ", ".join(f"{count:g} {name}" for name, count in asked.items() if count)
        raise ConfigError(
            f"a batch asks for {spelled}, and no machine of the Ray cluster has as much; lower cpus, gpus or resources"
        )
    return {"num_cpus": wanted["cpus"], "num_gpus": gpus, "resources": dict(wanted["resources"])}
