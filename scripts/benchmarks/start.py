"""`scripts/bench start`: seconds from `softrl train` to its first evaluation, cold and with a warm cache."""

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks import protocol, report
from benchmarks.report import Bar


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    parser.add_argument("env", nargs="?", default="brax/halfcheetah", help="as listed by `softrl envs`")
    parser.add_argument("--warm-runs", type=int, default=3, help="runs after the cold one; the median is reported")


def run(options: argparse.Namespace) -> dict:
    """Measures, prints and returns the result: one run with an empty compilation cache, then runs that share it."""
    result = report.header("start", vars(options).copy())
    with tempfile.TemporaryDirectory() as folder:
        seconds = []
        for i in range(1 + options.warm_runs):
            seconds.append(_first_evaluation(options.env, Path(folder), i, options.logs / f"start_{i}.log"))
            print(f"  {'warm' if i else 'cold'}: {seconds[-1]:.1f} s", flush=True)
    warm = report.medians({"warm": seconds[1:]})["warm"] if seconds[1:] else float("nan")
    report.table(
        f"softrl train {options.env}: seconds to the first evaluation", ["", ""], [["cold", seconds[0]], ["warm", warm]]
    )
    result |= {"cold_s": seconds[0], "warm_s": seconds[1:]}
    result["bars"] = report.bars([Bar("seconds to the first evaluation, warm", warm, 30.0, at_least=False)])
    return result


def _first_evaluation(env: str, folder: Path, number: int, log: Path) -> float:
    """Seconds from the start of the process until its first line of metrics is on disk; the run ends there.

    The line is written, and shown on the terminal, within the same millisecond.
    """
    out = folder / f"run{number}"
    command = [protocol.PYTHON["softrl"].parent / "softrl", "train", env, "--out", out, "--no-video"]
    extra = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"), "JAX_COMPILATION_CACHE_DIR": f"{folder}/xla"}
    with open(log, "w") as file:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=os.environ | extra)
        try:
            while not _has_a_line(out / "metrics.jsonl"):
                if process.poll() is not None:
                    raise RuntimeError(f"softrl train ended before its first evaluation; see {log}")
                time.sleep(0.02)
            return time.perf_counter() - started
        finally:
            process.kill()
            process.wait()


def _has_a_line(path: Path) -> bool:
    try:
        return b"\n" in path.read_bytes()
    except FileNotFoundError:
        return False
