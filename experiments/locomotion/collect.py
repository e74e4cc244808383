"""Files of results: `python experiments/locomotion/collect.py --suite gym-100k RUN_DIRECTORY_OR_FILE …`.

A directory is what `softrl train` or `softrl sweep` wrote; every member becomes results/SUITE/PRESET/TASK_SEED.json.
One that is not finished is written too, and said so. A run whose settings are no preset's is refused: a benchmark is of
presets. A file is one of experiments/peers or experiments/brax, which `scripts/bench peers` and `brax` write.
"""

import argparse
import bisect
import json
import re
import sys
from pathlib import Path

import numpy as np

from softrl.errors import ConfigError, SoftRLError
from softrl.reporting.table import results, runs
from softrl.reporting.table.results import Result
from softrl.sweep import folder

HERE = Path(__file__).resolve().parent


def place(result: Result, out: Path) -> Path:
    """Where a result's file belongs. Soft actor-critic's presets stand alone, others' behind their algorithm's name."""
    names = [result.preset] if result.algorithm == "sac" else [*result.algorithm.split(), result.preset]
    file = f"{re.sub(r'[^A-Za-z0-9.-]', '_', result.task)}_{result.seed}.json"
    return out / result.suite / "-".join(filter(None, names)) / file


def system(about: str) -> str:
    """A machine's kind: `Linux x86_64` of `Linux-6.1.0-21-amd64-x86_64-with-glibc2.36`."""
    kind = re.search(r"x86_64|aarch64|arm64|AMD64", about)
    return " ".join(filter(None, (about.partition("-")[0], kind and kind[0])))


def collected(directory: Path, suite: str, note: str) -> list[Result]:
    """The results of a directory.

    Raises: ConfigError: one has settings that are no preset's.
    """
    found = []
    base = folder.read(directory).about["base"] if folder.exists(directory) else {}
    for result in runs.read(directory):
        own = [name for name in (*base, *result.setting) if name not in (*runs.NOT_ITS_OWN, "algorithm")]
        if own or not result.preset:
            differs = ", ".join(own) or "its environment is not to be had here"
            raise ConfigError(f"{directory} is no preset's run ({differs}); a benchmark is of presets alone")
        about = {**result.about, "machine": system(result.about["machine"]), **({"note": note} if note else {})}
        found.append(result._replace(suite=suite, about=about))
    return found


def recorded(file: Path, suite: str, note: str, steps: int | None) -> list[Result]:
    """The result of a file of `scripts/bench peers` or `brax`, up to `steps`, or those that were asked of it.

    A peer has its own name and no preset. Seconds are of the whole process, evaluations included, as a run's are.
    """
    record = json.loads(file.read_text())
    kept, steps = record["curve"], steps or record["steps"]
    until = 1 + bisect.bisect_left(kept["env_steps"], steps)
    curve = {name: np.array(kept[name][:until], float) for name in ("env_steps", "updates", "return")}
    curve["seconds"] = np.add(kept["clock_s"], kept["evaluated_s"])[:until]
    curve["stochastic_return"] = np.full_like(curve["return"], np.nan)
    about = {name: record["about"][name] for name in ("versions", "device")} | {"commit": record["commit"]}
    about |= {"machine": system(record["machine"]["system"]), **({"note": note} if note else {})}
    peer, _, preset = record["contestant"].partition("softrl ")
    robot, seed = record["robot"], record["seed"]
    task = robot if "/" in robot else f"gym/{robot}"
    return [Result(suite, task, peer or "sac", preset, seed, steps, curve, about)]


def main() -> int:
    """Exit codes: 0 done; 2 a user's error, one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path, metavar="RUN_DIRECTORY_OR_FILE")
    parser.add_argument("--suite", required=True, help="The results are of this set of tasks.")
    parser.add_argument("--note", default="", help="Say this in every file, for readers of the numbers.")
    parser.add_argument("--steps", type=int, help="Of a file take so many environment steps, of a race by the clock.")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="Write below this directory.")
    options = parser.parse_args()
    try:
        for path in options.paths:
            how = (path, options.suite, options.note)
            for result in recorded(*how, options.steps) if path.is_file() else collected(*how):
                path = results.write(result, place(result, options.out))
                done = int(result.curve["env_steps"][-1])
                print(path, "" if result.finished else f"unfinished: {done:,} of {result.steps:,} steps")
    except SoftRLError as error:
        print(f"collect.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
