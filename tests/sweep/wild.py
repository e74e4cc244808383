"""Sweeps under fire: who is training, who is killed, and whether the table is the calm run's all the same."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from softrl.sweep import ledger
from tests.sweep import tiny

WORDS = tiny.spec({"critic_lr": [1e-3, 3e-4], "temperature": [0.05, 0.2]}, seeds=2, steps=8192, eval_every=1024)
"""Eight members; four batches of two, with nine evaluations each."""

MANY = tiny.spec({"critic_lr": [1e-3, 3e-4], "temperature": [0.05, 0.2]}, seeds=4, steps=8192, eval_every=512)
"""Sixteen members; eight batches of two, with seventeen evaluations each."""


def evaluations(out: Path) -> dict[str, int]:
    """How many times each batch has evaluated, as far as its metrics now go."""
    return {path.parent.name: path.read_bytes().count(b"\n") for path in out.glob("groups/*/*/metrics.jsonl")}


def begun(out: Path) -> set[str]:
    """Batches that have evaluated more than once: their workers are in the middle of training."""
    return {name for name, count in evaluations(out).items() if count > 1}


def children(wanted: Callable[[list[str]], bool]) -> Iterator[psutil.Process]:
    """The processes below this one whose command line is wanted."""
    for process in psutil.Process().children(recursive=True):
        try:
            if wanted(process.cmdline()):
                yield process
        except psutil.Error:  # it has ended meanwhile
            continue


def kill_child(wanted: Callable[[list[str]], bool]) -> int:
    """Kills the first process below this one whose command line is wanted, and returns its pid; 0 where none is."""
    for process in children(wanted):
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        return process.pid
    return 0


def ray_task(words: list[str], name: str = "g0/") -> bool:
    """Whether a command line is that of a Ray worker in a batch whose name begins so: Ray names it by its task."""
    return words[:1] != [] and words[0].startswith(f"ray::{name}")


def table(out: Path) -> bytes:
    """results.csv."""
    return (out / "results.csv").read_bytes()


def lines(out: Path) -> list[dict]:
    """The ledger without clocks; batches finish in any order."""
    told = [{name: value for name, value in line.items() if name != "timing"} for line in ledger.read(out)]
    return sorted(told, key=lambda line: line["key"])
