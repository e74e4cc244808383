"""Batches on other processes and machines: the loop that all launchers of a cluster share.

Tasks are killed, machines vanish; a batch is a directory that any of them can go on with. So whatever was lost is
handed out again, as long as it gets further.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from softrl.errors import ConfigError, SoftRLError
from softrl.storage import folders
from softrl.sweep.local import Report
from softrl.sweep.worker import TaskResult
from softrl.training.session import Listener
from softrl.training.signals import Request

POLL_S = 1.0
"""Seconds between two readings of the batches' metrics."""

RETRIES = 8
"""Times that a batch is handed out again although the last attempt got it no further."""

FAILURES = 1
"""Times that it is where that was an error of its own, which is likely to come again."""

GRACE_S = 60.0
"""Seconds that running batches have to save after a signal."""


class LostError(Exception):
    """A task ended without a result: its process was killed, its machine is gone, its code failed."""


class Cluster(Protocol):
    """A cluster, to the loop below. A task is anything hashable that stands for one attempt at a batch."""

    def submit(self, directories: Sequence[Path]) -> list[Hashable]:
        """Hands batches out to be run by `softrl.sweep.worker.run_batch`, and returns their tasks at once."""

    def wait(self, tasks: Sequence[Hashable], seconds: float) -> list[Hashable]:
        """Those tasks that have ended, after at most so many seconds; sooner if one ends."""

    def result(self, task: Hashable) -> TaskResult:
        """What an ended task returned. Raises: LostError."""

    def stop(self, tasks: Sequence[Hashable]) -> None:
        """Asks tasks to save and end, and takes back those that have not begun."""


def supervise(
    cluster: Cluster,
    directories: Sequence[Path],
    report: Report,
    request: Request,
    listener: Listener,
    *,
    most: int = 10**9,
) -> None:
    """Has batches trained by a cluster until all are finished or `request` asks to stop.

    Args: `report`, `request`, `listener`: as of `softrl.sweep.local.launch`. `most`: tasks handed out at a time.
    Raises: SoftRLError for a batch that cannot be, or that too many times in a row was lost or failed without getting
      further.
    """
    waiting, running, seen = deque(directories), {}, {}
    failures = {directory: (0, progress(directory)) for directory in directories}
    try:
        while (waiting or running) and request.requested is None:
            new = [waiting.popleft() for _ in range(min(len(waiting), most - len(running)))]
            running |= dict(zip(cluster.submit(new) if new else [], new, strict=True))
            for task in cluster.wait(list(running), POLL_S):
                directory = running.pop(task)
                if _ended(cluster, task, directory, failures, listener):
                    report(directory, "finished")
                else:
                    waiting.append(directory)
            _report_news(running.values(), seen, report)
    finally:
        cluster.stop(list(running))
        for _ in range(round(GRACE_S / POLL_S)):
            for task in cluster.wait(list(running), POLL_S) if running else ():
                del running[task]


def _ended(
    cluster: Cluster, task: Hashable, directory: Path, failures: dict[Path, tuple[int, Any]], listener: Listener
) -> bool:
    """Whether the batch is finished; otherwise it has to be handed out again."""
    try:
        result = cluster.result(task)
    except LostError as error:
        result = TaskResult("lost", str(error))
    if result.state == "finished":
        return True
    if result.state == "refused":
        raise SoftRLError(f"{directory}: {result.cause}")
    count, before = failures[directory]
    now = progress(directory)
    count = 1 if now != before else count + 1
    if count > (FAILURES if result.state == "failed" else RETRIES):
        raise SoftRLError(
            f"{directory} {_became(result)} {count} times in a row without getting further; the last time: "
            f"{result.cause or result.state}; the same command goes on"
        )
    failures[directory] = (count, now)
    told = {"became": _became(result), "cause": result.cause or result.state, "failures": count}
    listener({"event": "lost", "directory": directory, **told})
    return False


def _became(result: TaskResult) -> str:
    return "failed" if result.state == "failed" else "was lost"


def progress(directory: Path) -> tuple[int, int]:
    """How far a batch has got: its newest checkpoint's step and the bytes of its metrics."""
    checkpoints, metrics = directory / "checkpoints", directory / "metrics.jsonl"
    steps = folders.steps(checkpoints) if checkpoints.exists() else []
    return (steps[0] if steps else -1, metrics.stat().st_size if metrics.exists() else 0)


def _report_news(directories: Iterable[Path], seen: dict[Path, Any], report: Report) -> None:
    """Reports batches whose metrics have changed."""
    for directory in directories:
        path = directory / "metrics.jsonl"
        now = (path.stat().st_size, path.stat().st_mtime_ns) if path.exists() else None
        if now is not None and seen.get(directory) != now:
            seen[directory] = now
            report(directory, "evaluation")


def chosen(options: Mapping[str, Any], defaults: Mapping[str, Any], launcher: str) -> dict[str, Any]:
    """A launcher's options with its defaults.

    Raises: ConfigError naming an option that it does not have.
    """
    for name in options:
        if name not in defaults:
            raise ConfigError(f"launcher {launcher} has no option {name!r}; it has {', '.join(defaults)}")
    return {**defaults, **options}
