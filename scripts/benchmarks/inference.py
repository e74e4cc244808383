"""`scripts/bench inference`: exact inference on tables against the same recursion in numpy and scipy."""

import argparse
import sys

from benchmarks import protocol, report
from benchmarks.report import Bar


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    parser.add_argument("--quick", action="store_true", help="smaller problems: shows that it runs, meets no bar")


def run(options: argparse.Namespace) -> dict:
    """Measures, prints and returns the result: many small models in one call, one large model, two kinds of scan."""
    result = report.header("inference", vars(options).copy())
    sizes = {"many": 1000, "large": 1000, "horizons": (1000, 4096), "states": (8, 16, 32, 64)}
    if options.quick:
        sizes = {"many": 50, "large": 100, "horizons": (64,), "states": (8,)}
    rows = {"many": [], "large": [], "scan": []}
    for event in protocol.stream("softrl", "softrl_inference", sizes, options.logs / "inference.log", {}):
        del event["seconds"]
        if "about" in event:
            result["machine"] |= event["about"]
            continue
        rows[event.pop("table")].append(event)
        print("  " + " ".join(str(event[name]) for name in ("mode", "horizon", "states") if name in event), flush=True)
    result |= rows
    for row in rows["many"]:
        row["speedups"] = {
            f"{loop}_{bits}": row[f"{loop}_s"] / row[f"softrl_{bits}_s"]
            for loop in ("scipy", "numpy")
            for bits in (32, 64)
        }
    _tables(**rows)
    result["bars"] = report.bars(_bars(result["machine"]["platform"], **rows))
    if options.quick:
        print("--quick: these sizes are not those of the bars", file=sys.stderr)
    return result


def _tables(many: list[dict], large: list[dict], scan: list[dict]) -> None:
    report.table(
        f"{many[0]['models']} models, S=20, A=5, T=50: seconds; the loops in float64, softrl in float32 and float64",
        ["", "scipy loop", "numpy loop", "softrl 32", "64", "× scipy 32", "64", "× numpy 32", "64", "compile"],
        [
            [row["mode"]]
            + [row[f"{name}_s"] for name in ("scipy", "numpy", "softrl_32", "softrl_64")]
            + [*row["speedups"].values(), row["compile_64_s"]]
            for row in many
        ],
    )
    report.table(
        f"one model, S={large[0]['states']}, A=10, T=100, float32: seconds",
        ["", "softrl", "compile"],
        [[row["mode"], row["softrl_32_s"], row["compile_s"]] for row in large],
    )
    report.table(
        "optimistic messages, A=4, float32: milliseconds",
        ["", "sequential", "associative", "ratio"],
        [
            [f"T={row['horizon']} S={row['states']}", 1e3 * row["sequential_s"], 1e3 * row["associative_s"], _gain(row)]
            for row in scan
        ],
    )


def _bars(platform: str, many: list[dict], large: list[dict], scan: list[dict]) -> list[Bar]:
    bars = [
        Bar(f"many models, {row['mode']}, float{bits} against the scipy loop", row["speedups"][f"scipy_{bits}"], 50.0)
        for row in many
        for bits in (32, 64)
    ]
    bars += [Bar(f"one model, {row['mode']}, seconds", row["softrl_32_s"], 2.0, at_least=False) for row in large]
    if platform == "cpu":
        return bars  # the associative scan is for accelerators
    return [*bars, Bar("associative scan, least ratio to the sequential one", min(_gain(row) for row in scan), 1.0)]


def _gain(row: dict) -> float:
    return row["sequential_s"] / row["associative_s"]
