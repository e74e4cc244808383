"""`scripts/bench playground`: what every robot of MuJoCo Playground costs: load, trace, compile, steps, memory, films.

Each robot has a process of its own, which finds no program compiled earlier: one that crashes or takes too much memory
or time ends alone, and is a row that says so. Every robot is a file of its own under --results, so that the table grows
over days; a robot whose file has what is asked for, or failed at it, is not run again. Remove the file to do so.

Programs are softrl's own: `reset`, and `step` in a scan, of --num-envs environments as the robot's defaults have them.
Seconds are of stages one after the other. Memory is the most that the process has had until the end of its last
stage before films. Steps a second are without resets; what a reset of all environments costs stands beside them.
"""

import argparse
import importlib.util
import json
from pathlib import Path
from typing import Any

from benchmarks import protocol, report, seeds
from benchmarks.report import Bar

RESULTS = Path(__file__).resolve().parents[2] / "experiments" / "playground"
STAGES = ("import", "load", "trace", "lower", "compile", "run", "film")
"""In order, as the worker tells them."""

FRAME_S = 0.5
"""The bar: seconds that a film's frame takes at most."""

COLUMNS = ["robot", *(f"{name}, s" for name in STAGES[:5]), "peak, MiB", "steps/s", "a reset, steps", "film, s a frame"]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="robots, all of them by default")
    parser.add_argument("--trace-only", action="store_true", help="load and trace, neither compile nor run")
    parser.add_argument("--film", action="store_true", help="also film two seconds, into the folder of the results")
    parser.add_argument("--table", action="store_true", help="run nothing; print what there is")
    parser.add_argument("--markdown", action="store_true", help="print what there is as docs/playground.md has it")
    parser.add_argument("--num-envs", type=int, default=32, help="environments stepped together")
    parser.add_argument("--steps", type=int, default=64, help="vector steps of one repetition")
    parser.add_argument("--repetitions", type=int, default=5, help="whose median counts, after a first one")
    parser.add_argument("--limit", type=float, default=1200.0, help="seconds after which a robot's process is ended")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of a file a robot")


def robots() -> dict[str, str]:
    """Name -> environment, in the order of the table."""
    from softrl.envs.playground import KNOWN

    return {name: f"playground/{name}" for name in KNOWN}


def run(options: argparse.Namespace) -> dict:
    """Measures what is missing, prints and returns the result."""
    result = report.header("playground", vars(options).copy())
    known, wanted = robots(), _wanted(options)
    if unknown := sorted(set(options.only) - set(known)):
        raise RuntimeError(f"no robot {', '.join(unknown)}; robots: {', '.join(known)}")
    chosen = [name for name in known if not options.only or name in options.only]
    if not (options.table or options.markdown):
        require_library()
        about = {name: result[name] for name in ("commit", "machine", "started")}
        for name in chosen:
            path = options.results / f"{name}.json"
            if not path.exists() or not set(wanted) <= set(json.loads(path.read_text())["wanted"]):
                seeds.keep(path, {"robot": name, "wanted": wanted} | _robot(name, known[name], wanted, options) | about)
    records = kept(options.results, chosen)
    if options.markdown:
        print(markdown(records))
        return result | {"robots": records}
    report.table("what robots cost", [*COLUMNS, ""], [[*_row(record), record.get("failed", "")] for record in records])
    return result | {"robots": records, "bars": report.bars(claims(records, len(chosen)))}


def require_library() -> None:
    """Raises: RuntimeError where Playground is not installed, with how to get it."""
    if importlib.util.find_spec("mujoco_playground") is None:
        raise RuntimeError("MuJoCo Playground is not installed: SOFTRL_EXTRAS=playground scripts/bench playground")


def _wanted(options: argparse.Namespace) -> list[str]:
    last = "trace" if options.trace_only else "run"
    return [*STAGES[: STAGES.index(last) + 1], *(["film"] if options.film else [])]


def _robot(name: str, env: str, wanted: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """The stages that a process of its own has told, and where it failed the line that says so."""
    sizes = {key: getattr(options, key) for key in ("num_envs", "steps", "repetitions")}
    film = (options.out / "playground" / f"{name}.mp4").resolve()
    film.parent.mkdir(parents=True, exist_ok=True)
    wishes = {"env": env, "stages": wanted, "film": str(film), **sizes}
    stages: dict[str, dict[str, Any]] = {}
    print(name, end="", flush=True)
    why = f"no end within {options.limit:g} s"
    extra = protocol.AS_TRAINED | {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    try:
        log = options.logs / f"playground_{name}.log"
        for event in protocol.stream("softrl", "softrl_playground", wishes, log, extra, options.limit):
            del event["seconds"]
            stage = event.pop("stage")
            stages[stage] = report.rounded(event)
            print(f"  {stage} {event['took_s']:.1f} s", end="", flush=True)
    except RuntimeError as error:
        why = protocol.in_a_line(error)
    missing = [stage for stage in wanted if stage not in stages]
    failed = {"failed": f"{missing[0]}: {why}"} if missing else {}
    print(f"  {failed.get('failed', '')}", flush=True)
    return {**sizes, "stages": stages, **failed}


def kept(folder: Path, names: list[str]) -> list[dict[str, Any]]:
    """The records that there are, in the order of the names."""
    paths = [folder / f"{name}.json" for name in names]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def _row(record: dict[str, Any]) -> list[Any]:
    stages = record["stages"]
    before_film = [stage["peak_mib"] for name, stage in stages.items() if name != "film"]
    ran = stages.get("run")
    steps = [ran["steps_per_s"], ran["reset_s"] * ran["steps_per_s"] / record["num_envs"]] if ran else ["", ""]
    film = stages["film"]["seconds_a_frame"] if "film" in stages else ""
    took = [stages[name]["took_s"] if name in stages else "" for name in STAGES[:5]]
    return [record["robot"], *took, max(before_film, default=""), *steps, film]


def markdown(records: list[dict[str, Any]]) -> str:
    """The table of docs/playground.md, and below it a line for every robot that failed."""
    failed = [f"* {record['robot']}: {record['failed']}" for record in records if "failed" in record]
    wrong = [f"* {record['robot']}: {', '.join(said)}" for record in records if (said := unsound(record))]
    rows = [_row(record) for record in records]
    return "\n\n".join(part for part in (report.markdown(COLUMNS, rows), "\n".join(failed + wrong)) if part)


def unsound(record: dict[str, Any]) -> list[str]:
    """What does not hold of a robot's run, in words."""
    ran = record["stages"].get("run")
    if ran is None:
        return []
    found = [
        (bool(ran["not_finite"]), f"not finite: {', '.join(ran['not_finite'][:3])}"),
        (ran["spoiled"] > 0, f"{ran['spoiled']} rows that were not finite and were reset"),
        (ran["cut_wrong"] > 0, f"{ran['cut_wrong']} rows cut elsewhere than at the limit"),
        (ran["cut"] == 0, "no episode reached the limit"),
        (ran["last_wrong"] > 0, f"{ran['last_wrong']} rows whose last observation is wrong"),
    ]
    return [words for wrong, words in found if wrong]


def claims(records: list[dict[str, Any]], robots: int) -> list[Bar]:
    """Bars: all robots load and trace; every one that ran was sound; every film was fast."""
    traced = [record for record in records if "trace" in record["stages"]]
    ran = [record for record in records if "run" in record["stages"]]
    films = [record["stages"]["film"]["seconds_a_frame"] for record in records if "film" in record["stages"]]
    bars = [Bar("robots that load and trace", len(traced), robots)]
    bars.append(Bar(f"of {len(ran)} robots that ran, unsound", len(list(filter(None, map(unsound, ran)))), 0, False))
    return bars + ([Bar("slowest film, seconds a frame", max(films), FRAME_S, at_least=False)] if films else [])
