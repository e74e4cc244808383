"""The launcher for processes of this machine, with processor cores of their own: so many batches beside each other.

    softrl sweep spec.toml --launcher processes

Simulators on the host train one member a batch, and an update of one member keeps one core busy and hardly two.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from softrl.errors import ConfigError
from softrl.sweep import worker
from softrl.sweep.cluster import LostError, Report, chosen, supervise
from softrl.sweep.plan import MARGIN, Plan
from softrl.sweep.worker import TaskResult
from softrl.training import lanes
from softrl.training.session import Listener
from softrl.training.signals import Request

OPTIONS: Mapping[str, Any] = {"cpus": 1.0, "most": 10**9}
"""cpus: cores of one batch. most: batches at a time; as many as there are cores for, where that is less."""

LOG = "worker.log"
"""In a batch's directory: what its processes said."""


def launch(
    directories: Sequence[Path], report: Report, request: Request, listener: Listener, options: Mapping[str, Any]
) -> None:
    """Trains batches in processes, each with cores of its own, until all are finished or `request` asks to stop; see
    `softrl.sweep.local.launch`.

    A process that is killed is started again and goes on from its batch's newest checkpoint; when this driver is
    killed, its processes save and end.

    Raises: ConfigError for an option, or fewer cores here than a batch asks for.
    """
    wanted = chosen(options, OPTIONS, "processes")
    shares = shared_out(lanes.cores(), wanted["cpus"])[: wanted["most"]]
    supervise(Processes(shares), directories, report, request, listener, most=len(shares))


def shared_out(cores: Sequence[int], each: float) -> list[tuple[int, ...]]:
    """Cores in disjoint sets of so many.

    Raises: ConfigError where that is no whole number of cores, or there are not as many.
    """
    count = int(each)
    if count != each or not 1 <= count <= len(cores):
        raise ConfigError(f"cpus must be from 1 to {len(cores)} whole cores of this machine, got {each:g}")
    return [tuple(cores[i : i + count]) for i in range(0, len(cores) - count + 1, count)]


def beside(plan: Plan) -> int:
    """How many batches of a sweep to train at a time: more than one where every batch is of one member by nature, and
    as many as there are cores for, and memory."""
    if not all(group.alone for group in plan.groups):
        return 1
    largest = max(group.member_bytes for group in plan.groups)
    fit = len(lanes.cores()) if plan.memory is None else int(MARGIN * plan.memory / (COPIES * largest + PROGRAM_BYTES))
    return max(1, min(len(lanes.cores()), fit, sum(group.batches for group in plan.groups)))


COPIES = 3
"""Of a member's state at most in a process's memory: the state, a checkpoint's copy of it, and a moment's third."""

PROGRAM_BYTES = 2**30
"""Memory of a process besides: Python, JAX, programs, the simulator."""


class Process(NamedTuple):
    """A task: one attempt at a batch."""

    process: subprocess.Popen
    cores: tuple[int, ...]
    log: Path


class Processes:
    """This machine as a `softrl.sweep.cluster.Cluster`."""

    def __init__(self, shares: Sequence[tuple[int, ...]]):
        """`shares`: the cores of each process."""
        self.free = list(shares)
        self.environment = os.environ | worker.environment(1.0 / len(shares))

    def submit(self, directories: Sequence[Path]) -> list[Hashable]:
        """A process each; there must be cores left."""
        return [self._start(where.absolute(), self.free.pop(0)) for where in directories]

    def _start(self, where: Path, own: tuple[int, ...]) -> Process:
        # A session of its own: Ctrl-C is for the driver, which then asks each process once.
        with (where / LOG).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "softrl.sweep.worker", str(where)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self.environment | {"OMP_NUM_THREADS": str(len(own))},
                start_new_session=True,
            )
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(process.pid, own)  # before it has any thread but its first
        return Process(process, own, where / LOG)

    def wait(self, tasks: Sequence[Process], seconds: float) -> list[Hashable]:
        """As `Cluster.wait`."""
        until = time.monotonic() + seconds
        while not (ended := [task for task in tasks if task.process.poll() is not None]) and time.monotonic() < until:
            time.sleep(0.05)
        for task in ended:
            task.process.stdin.close()
        return ended

    def result(self, task: Process) -> TaskResult:
        """As `Cluster.result`."""
        self.free.append(task.cores)
        said = [line.strip() for line in task.log.read_text(errors="replace").splitlines() if line.strip()]
        last = next((line for line in reversed(said) if line.startswith(worker.RESULT)), None)
        if task.process.returncode == 0 and last is not None:
            return TaskResult(*json.loads(last.removeprefix(worker.RESULT)))
        why = said[-1][:300] if said else "it said nothing"
        raise LostError(f"process {task.process.pid} ended with {task.process.returncode}: {why}")

    def stop(self, tasks: Sequence[Process]) -> None:
        """Each finishes its chunk and saves."""
        for task in tasks:
            with contextlib.suppress(OSError):  # it has ended
                task.process.stdin.write(b".")
                task.process.stdin.flush()
            task.process.terminate()
