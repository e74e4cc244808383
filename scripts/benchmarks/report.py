"""What every subcommand leaves behind: one JSON file with machine, versions, settings and every number; tables."""

import json
import math
import os
import platform
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Bar(NamedTuple):
    """A claim: `got` must be at least (`at_least`) or at most `wanted`."""

    what: str
    got: float
    wanted: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        """Whether it holds; a NaN never does."""
        return self.got >= self.wanted if self.at_least else self.got <= self.wanted


def header(command: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The part of a result that is known before anything is measured."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    changed = subprocess.run(
        ["git", "status", "--porcelain", "softrl"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"warning: load average {load:.1f}; something else is running here", file=sys.stderr)
    return {
        "command": command,
        "settings": settings,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": (head or "unknown") + ("+changes" if changed else ""),
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "load_average_before": load,
        },
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def table(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Prints aligned columns; the first is text, the others numbers to three digits or text."""
    cells = [columns, *[[_cell(value) for value in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    print(f"\n{title}")
    for row in cells:
        first, *others = row
        padded = [value.rjust(width) for value, width in zip(others, widths[1:], strict=True)]
        print("  ".join(["  " + first.ljust(widths[0]), *padded]))


def markdown(columns: list[str], rows: list[list[Any]]) -> str:
    """The same table for a page."""
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *[[_cell(value) for value in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def bars(claims: list[Bar]) -> list[dict[str, Any]]:
    """Prints which bars are met, and returns them for the JSON file; a NaN was not measured, so that it is not met."""
    rows = [
        [
            claim.what,
            "" if math.isnan(claim.got) else claim.got,
            f"{'≥' if claim.at_least else '≤'} {_cell(claim.wanted)}",
            "met" if claim.met else "not measured" if math.isnan(claim.got) else "NOT met",
        ]
        for claim in claims
    ]
    table("bars", ["", "measured", "wanted", ""], rows)
    return [claim._asdict() | {"met": claim.met} for claim in claims]


def write(result: dict[str, Any], path: Path) -> None:
    """Writes the result as JSON and says where."""
    result["machine"]["load_average_after"] = os.getloadavg()[0]
    result["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = json.loads(json.dumps(result, default=str), parse_constant=str)  # JSON has no NaN and no Infinity
    path.write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n")
    print(f"\n{path}")


def rounded(value: Any) -> Any:
    """Four digits of every number, which is more than a clock gives, and keeps committed files small."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def medians(rounds: dict[str, list[float]]) -> dict[str, float]:
    """The median of each contestant's rounds."""
    return {name: statistics.median(values) for name, values in rounds.items()}


def ratio(rounds: dict[str, list[float]], a: str, b: str) -> float:
    """Median over rounds of a's rate to b's rate in the same round: what drifts in a machine, drifts in both."""
    return statistics.median(x / y for x, y in zip(rounds[a], rounds[b], strict=True))
