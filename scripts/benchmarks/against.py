"""`scripts/bench against`: this tree against an older commit, turn by turn: updates a second, steps on the host."""

import argparse
import subprocess
from pathlib import Path

from benchmarks import protocol, report
from benchmarks.protocol import ROOT, import_from
from benchmarks.report import Bar
from benchmarks.sizes import Sizes
from benchmarks.turns import Contestant, take

LEAST = 0.97
"""Of the older commit's median, what a change may cost: about what two runs of one commit differ by."""

HOST = {"env": "HalfCheetah-v5", "batch_size": 256, "replay_size": 1_000_000, "steps": 480}
WORKERS = {
    "updates": ("softrl_learn", vars(Sizes()) | {"updates_per_call": 256}, 3.0),
    "host": ("softrl_host", HOST, 2.0),
}
"""What is measured -> its worker, the worker's settings, seconds of a turn."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    parser.add_argument("commit", help="of this repository, for example a tag")
    parser.add_argument("--what", nargs="*", default=list(WORKERS), choices=WORKERS, help="what to measure")
    parser.add_argument("--rounds", type=int, default=10, help="pairs of turns; medians are reported")


def run(options: argparse.Namespace) -> dict:
    """Measures, prints and returns the result."""
    result = report.header("against", vars(options).copy())
    before, claims = checkout(options.commit), []
    for what in options.what:
        module, wishes, seconds = WORKERS[what]
        pair = [
            Contestant(name, "softrl", module, wishes, {**protocol.AS_TRAINED, **import_from(root)})
            for name, root in (("now", ROOT), ("before", before))
        ]
        rates, about = take(pair, rounds=options.rounds, seconds=seconds, logs=options.logs)
        medians = {name: report.medians(variants) for name, variants in rates.items()}
        ratios = {variant: medians["now"][variant] / medians["before"][variant] for variant in medians["now"]}
        rows = [[name, medians["now"][name], medians["before"][name], ratio] for name, ratio in ratios.items()]
        report.table(f"{what}, a second", ["", "now", options.commit, "ratio of medians"], rows)
        result[what] = {"about": about, "rates": rates, "ratios": ratios}
        claims.append(Bar(f"{what}, now to {options.commit}", ratios["softrl"], LEAST))
    result["bars"] = report.bars(claims)
    return result


def checkout(commit: str) -> Path:
    """The tree of a commit, beside the other caches."""
    found = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", commit], capture_output=True, text=True)
    if found.returncode:
        raise RuntimeError(f"{commit} is no commit of {ROOT}: {found.stderr.strip()}")
    place = ROOT / ".cache" / "against" / found.stdout.strip()
    if not place.exists():
        subprocess.run(["git", "clone", "-q", "--no-checkout", ROOT, place], check=True)
        subprocess.run(["git", "-C", place, "checkout", "-q", commit], check=True)
    return place
