"""`scripts/bench resets`: what resets cost beside the simulator's own step, and how fresh episodes' first states are.

`env.step`, with first states made and kept every T steps of the clock (`--reset-interval`) and with resets whenever an
episode ends (0), against the vmapped step of the simulator and nothing else, of the same members and actions, turn by
turn: a few steps of each, for two whole episodes, --rounds times; ratios are those of the rounds' medians. Where that
takes longer than --seconds, a round is one episode, or, of robots whose T is shorter than that, as many intervals as
there is time for; at 0, whose resets come all the time, half of the time is enough. The limit of episodes stays what it
is.

Freshness is the share of episodes that begin in a state in which another one began, at T.

Members are those of one program by `vmap`, as on an accelerator, where a branch of each is a choice of both sides: at 0
they reset in every step.
Every finished row is a file of its own under --results; one that is there is not measured again.
"""

import argparse
import json
import math
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import protocol, report, seeds
from benchmarks.report import Bar

INTERVALS = {
    "brax/halfcheetah": 1000,
    "brax/hopper": 8,
    "playground/CheetahRun": 1000,
    "playground/Go1JoystickFlatTerrain": 8,
}
"""Robot -> T: as it ships, or, of Brax's, which ship with 0, what a robot of Playground's of that kind has."""

COSTS = {1: 1.25, 8: 1.35}
"""Members -> the bar of the cost at T, where T is shipped."""

SHARED = 0.05
"""The bar of freshness, where T is shipped."""

RESULTS = Path(__file__).resolve().parents[2] / "experiments" / "resets"
COLUMNS = ["", "T", "raw steps/s", "cost at T", "cost at 0", "episodes", "begin alike, %", "steps at T, at 0 × rounds"]


class Task(NamedTuple):
    """One row."""

    env: str
    num_envs: int
    members: int

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"{self.env} {self.num_envs}x{self.members}"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="rows whose names have all these words")
    parser.add_argument("--envs", nargs="*", type=int, default=[64, 1024], help="environments of a member")
    parser.add_argument("--members", nargs="*", type=int, default=[1, 8], help="in one program")
    parser.add_argument("--most", type=int, default=4096, help="environments of all members, or the row is left out")
    parser.add_argument("--rounds", type=int, default=3, help="whose medians count")
    parser.add_argument("--seconds", type=float, default=240.0, help="that all rounds of a row take at most")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds after which a row's process is ended")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of a file a row")
    parser.add_argument("--table", action="store_true", help="run nothing; print what there is")
    parser.add_argument("--markdown", action="store_true", help="print what there is as docs/environments.md has it")


def run(options: argparse.Namespace) -> dict:
    """Measures what is missing, prints and returns the result."""
    result = report.header("resets", vars(options).copy())
    about = {name: result[name] for name in ("commit", "machine", "started")}
    chosen = seeds.chosen(tasks(options.envs, options.members), options.only)
    for task in [] if options.table or options.markdown else chosen:
        path = _file(options.results, task)
        if not path.exists() and task.num_envs * task.members <= options.most:
            seeds.keep(path, task._asdict() | _measured(task, options) | about)
    rows = kept(options.results, chosen)
    if options.markdown:
        print(markdown(rows))
        return result | {"rows": rows}
    report.table(
        "resets, against the simulator's own step",
        [*COLUMNS, ""],
        [[*_row(row), row.get("failed", "")] for row in rows],
    )
    absent = [task.name for task in chosen if not _file(options.results, task).exists()]
    if absent:
        print(f"\nnot measured, or left out with more than {options.most:,} environments: {', '.join(absent)}")
    return result | {"rows": rows, "bars": report.bars(claims(rows))}


def tasks(envs: list[int], members: list[int]) -> list[Task]:
    """All rows, in the order of the table."""
    return [Task(env, some, many) for env in INTERVALS for some in envs for many in members]


def _file(folder: Path, task: Task) -> Path:
    return folder / f"{task.name.replace('/', '_').replace(' ', '_')}.json"


def kept(folder: Path, tasks: list[Task]) -> list[dict[str, Any]]:
    """The rows that there are."""
    paths = [_file(folder, task) for task in tasks]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def _measured(task: Task, options: argparse.Namespace) -> dict[str, Any]:
    """What its worker tells, or in a line why there is nothing."""
    print(task.name, flush=True)
    wishes = task._asdict() | {"interval": INTERVALS[task.env], "rounds": options.rounds, "seconds": options.seconds}
    log = options.logs / f"resets_{task.name.replace('/', '_').replace(' ', '_')}.log"
    try:
        told = list(protocol.stream("softrl", "softrl_resets", wishes, log, protocol.AS_TRAINED, options.limit))
    except RuntimeError as error:
        return {"failed": protocol.in_a_line(error)}
    if not told:
        return {"failed": f"no end within {options.limit:g} s"}
    return report.rounded({name: value for name, value in told[0].items() if name != "seconds"})


def cost(row: dict[str, Any], name: str) -> float:
    """Seconds a step of a contestant as a multiple of the raw step's, medians of the rounds."""
    return statistics.median(row["step_s"][name]) / statistics.median(row["step_s"]["raw"])


def alike(row: dict[str, Any]) -> float:
    """Share of the episodes that began in a state in which another one began; NaN where none began."""
    return row["shared"] / row["episodes"] if row["episodes"] else math.nan


def _row(row: dict[str, Any]) -> list[Any]:
    name = f"{row['env']}, {row['num_envs']:,} × {row['members']}"
    if "failed" in row:
        return [name, *[""] * 7]
    raw = row["num_envs"] * row["members"] / statistics.median(row["step_s"]["raw"])
    steps = f"{row['steps']['T']:,}, {row['steps']['0']:,} × {len(row['step_s']['raw'])}"
    shipped = "" if row["interval"] == row["shipped"] else f" (ships with {row['shipped']})"
    numbers = [cost(row, "T"), cost(row, "0"), f"{row['episodes']:,}", 100.0 * alike(row)]
    return [name, f"{row['interval']}{shipped}", raw, *numbers, steps]


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table of docs/environments.md, and below it a line for every row that failed."""
    failed = [f"* {_row(row)[0]}: {row['failed']}" for row in rows if "failed" in row]
    whole = [_row(row) for row in rows if "failed" not in row]
    return "\n\n".join(part for part in (report.markdown(COLUMNS, whole), "\n".join(failed)) if part)


def claims(rows: list[dict[str, Any]]) -> list[Bar]:
    """Bars of cost and freshness, of every robot that ships with an interval."""
    bars = []
    for row in rows:
        if "failed" in row or row["interval"] != row["shipped"]:
            continue
        name = _row(row)[0]
        bars.append(Bar(f"{name}: cost at T", cost(row, "T"), COSTS.get(row["members"], math.nan), at_least=False))
        bars.append(Bar(f"{name}: share that begins alike", alike(row), SHARED, at_least=False))
    return bars
