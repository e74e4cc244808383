"""Sweeps under fire: who is training, who is killed, and whether the table is the calm run's all the same."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil

from softrl.sweep import ledger
from tests.sweep import tiny

WORDS = tiny.spec({"critic_lr": [1e-3, 3e-4], "temperature": [0.05, 0.2]}, seeds=2, steps=8192, eval_every=1024)
"""Eight members; four batches of two, with nine evaluations each."""


def begun(out: Path) -> set[str]:
    """Batches that have evaluated more than once: their workers are in the middle of training."""
    files = out.glob("groups/*/*/metrics.jsonl")
    return {path.parent.name for path in files if path.read_bytes().count(b"\n") > 1}


def kill_child(wanted: Callable[[list[str]], bool]) -> int:
    """Kills the first process below this one whose command line is wanted, and returns its pid; 0 where none is."""
    for process in psutil.Process().children(recursive=True):
        try:
            if wanted(process.cmdline()):
                os.kill(process.pid, signal.SIGKILL)
                return process.pid
        except (psutil.Error, ProcessLookupError):
            continue
    return 0


def table(out: Path) -> bytes:
    """results.csv."""
    return (out / "results.csv").read_bytes()


def lines(out: Path) -> list[dict]:
    """The ledger without clocks; batches finish in any order."""
    told = [{name: value for name, value in line.items() if name != "timing"} for line in ledger.read(out)]
    return sorted(told, key=lambda line: line["key"])
