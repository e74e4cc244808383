"""The launcher for Slurm, through submitit: each batch a job that may be preempted, timed out or killed, and goes on.

    softrl sweep spec.toml --launcher slurm

It is started on a login node, or in a job of its own, and submits one job a batch. submitit keeps its scripts, logs and
pickled calls in DIR/slurm; softrl itself never reads those.
"""

import importlib
import shutil
import time
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from softrl.errors import ConfigError, library
from softrl.sweep import worker
from softrl.sweep.cluster import LostError, Report, chosen, supervise
from softrl.sweep.worker import TaskResult
from softrl.training.session import Listener
from softrl.training.signals import Request

OPTIONS: Mapping[str, Any] = {
    "cluster": "slurm",
    "timeout_min": 240,
    "cpus_per_task": 2,
    "gpus_per_node": 0,
    "mem_gb": None,
    "parameters": {},
    "most": 10**9,
}
"""cluster: `slurm`, or `local` for jobs as processes of this machine. timeout_min, cpus_per_task, gpus_per_node,
mem_gb: of one job. parameters: further ones of submitit, `{"slurm_partition": "long"}`, say. most: jobs at a time."""


def launch(
    directories: Sequence[Path], report: Report, request: Request, listener: Listener, options: Mapping[str, Any]
) -> None:
    """Trains batches as Slurm jobs until all are finished or `request` asks to stop; see `softrl.sweep.local.launch`.

    A job that is lost is submitted again and goes on from its newest checkpoint; one that is preempted or runs out of
    its time requeues itself, even when this driver is no longer there.

    Raises: ConfigError where submitit is not installed or there is no Slurm.
    """
    wanted = chosen(options, OPTIONS, "slurm")
    jobs = SlurmCluster(_executor(directories[0].parents[2] / "slurm", wanted))
    supervise(jobs, directories, report, request, listener, most=wanted["most"])


class SlurmCluster:
    """Jobs as a `softrl.sweep.cluster.Cluster`; its tasks are submitit's jobs."""

    def __init__(self, executor: Any):
        """`executor`: submitit's, with its parameters set."""
        self.executor = executor

    def submit(self, directories: Sequence[Path]) -> list[Hashable]:
        """All in one array of jobs."""
        with self.executor.batch():
            return [self.executor.submit(Resumable(), str(where.absolute())) for where in directories]

    def wait(self, tasks: Sequence[Hashable], seconds: float) -> list[Hashable]:
        """As `Cluster.wait`."""
        until = time.monotonic() + seconds
        while not (ended := [task for task in tasks if task.done()]) and time.monotonic() < until:
            time.sleep(0.1)
        return ended

    def result(self, task: Hashable) -> TaskResult:
        """As `Cluster.result`."""
        errors = importlib.import_module("submitit.core.utils")
        try:
            return TaskResult(*task.result())
        except (errors.UncompletedJobError, errors.FailedJobError, errors.FailedSubmissionError) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise LostError(f"job {task.job_id}: {lines[-1][:300] if lines else type(error).__name__}") from error

    def stop(self, tasks: Sequence[Hashable]) -> None:
        """As `scancel`: a running job finishes its chunk and saves."""
        for task in tasks:
            task.cancel(check=False)


class Resumable:
    """A batch as submitit wants it: called to run; `checkpoint` says what to run after a preemption or a timeout."""

    def __call__(self, directory: str) -> TaskResult:
        """Runs the batch; see `softrl.sweep.worker.run_batch`."""
        return worker.run_batch(directory)

    def checkpoint(self, directory: str) -> Any:
        """The same again: its own checkpoints say how far it was."""
        return importlib.import_module("submitit.helpers").DelayedSubmission(self, directory)


def _executor(folder: Path, wanted: Mapping[str, Any]) -> Any:
    submitit = library("submitit", "--launcher slurm needs submitit (or use --launcher local)", "slurm")
    if wanted["cluster"] == "slurm" and shutil.which("sbatch") is None:
        raise ConfigError(
            "there is no Slurm here (no sbatch): start the sweep on a login node, or use another launcher"
        )
    executor = submitit.AutoExecutor(folder=folder, cluster=wanted["cluster"])
    named = {name: wanted[name] for name in ("timeout_min", "cpus_per_task", "gpus_per_node", "mem_gb")}
    asked = {name: value for name, value in named.items() if value is not None}
    try:
        executor.update_parameters(name="softrl", **asked, **wanted["parameters"])
    except (NameError, TypeError, ValueError) as error:
        raise ConfigError(f"launcher slurm: {error}") from error
    return executor
