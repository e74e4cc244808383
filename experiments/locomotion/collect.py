"""Files of results from run directories: `python experiments/locomotion/collect.py --suite gym-100k RUN_DIRECTORY …`.

A directory is what `softrl train` or `softrl sweep` wrote; every member becomes results/SUITE/PRESET/TASK_SEED.json.
One that is not finished is written too, and said so. A run whose settings are no preset's is refused: a benchmark is of
presets.
"""

import argparse
import re
import sys
from pathlib import Path

from softrl.errors import ConfigError, SoftRLError
from softrl.reporting.table import results, runs
from softrl.reporting.table.results import Result
from softrl.sweep import folder

HERE = Path(__file__).resolve().parent


def place(result: Result, out: Path) -> Path:
    """Where a result's file belongs. Soft actor-critic's presets stand alone, others' behind their algorithm's name."""
    preset = result.preset if result.algorithm == "sac" else f"{result.algorithm}-{result.preset}"
    return out / result.suite / preset / f"{re.sub(r'[^A-Za-z0-9.-]', '_', result.task)}_{result.seed}.json"


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


def main() -> int:
    """Exit codes: 0 done; 2 a user's error, one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="+", type=Path, metavar="RUN_DIRECTORY")
    parser.add_argument("--suite", required=True, help="The results are of this set of tasks.")
    parser.add_argument("--note", default="", help="Say this in every file, for readers of the numbers.")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="Write below this directory.")
    options = parser.parse_args()
    try:
        for directory in options.directories:
            for result in collected(directory, options.suite, options.note):
                path = results.write(result, place(result, options.out))
                done = int(result.curve["env_steps"][-1])
                print(path, "" if result.finished else f"unfinished: {done:,} of {result.steps:,} steps")
    except SoftRLError as error:
        print(f"collect.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
