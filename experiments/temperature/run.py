#!/usr/bin/env python
"""What the temperature buys and what it costs: 64 members of one compiled program on the bounded LQ probe.

    python experiments/temperature/run.py [--out runs/temperature] [--steps 32768] [--seeds 8]

trains experiments/temperature/spec.toml (the same command again goes on) and writes temperature.png and
temperature.json beside this file, or into --figures. The line in the entropy's panel is exact: without bounds on the
action the soft-optimal policy is Gaussian with variance α / (0.1 + γ P 0.5²), P from the scalar Riccati equation.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("agg")
import matplotlib.pyplot as plt

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout need not be installed

from softrl import sweep
from softrl.reporting import sweep_progress
from softrl.sweep import folder, ledger, statistics
from softrl.sweep.spec import load

HERE = Path(__file__).resolve().parent
MODE, SAMPLED, ENTROPY = "#0077b6", "#f77f00", "#b5179e"
DECAY, GAIN, NOISE_COST = 0.9, 0.5, 0.1  # of the probe: x′ = 0.9x + 0.5a + w, r = −½(x² + 0.1a²)
MEASURED = {"mode": "return_mean", "sampled": "stochastic_return_mean", "entropy": "entropy"}


def main() -> None:
    """Trains, then draws and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/temperature"), help="directory of the sweep")
    parser.add_argument("--figures", type=Path, default=HERE, help="where figure and table go")
    parser.add_argument("--steps", type=int, help="of each member, instead of the spec's")
    parser.add_argument("--seeds", type=int, help="instead of the spec's")
    options = parser.parse_args()
    with sweep_progress.sweeping() as listener:
        outcome = sweep.run(words(options), options.out, listener=listener)
    sweep_progress.show_table(outcome.results)
    if outcome.stopped_by is not None:
        sys.exit(f"stopped and saved; the same command goes on: {options.out}")
    table = summarise(options.out)
    options.figures.mkdir(parents=True, exist_ok=True)
    draw(table, options.figures / "temperature.png")
    swept = folder.read(options.out).about
    about = {"versions": swept["versions"], "commit": swept["commit"], "device": swept["machine"]["device"]}
    text = json.dumps({"rows": table, **about}, indent=2, ensure_ascii=False)
    (options.figures / "temperature.json").write_text(text + "\n")
    print(options.figures / "temperature.png")


def words(options: argparse.Namespace) -> dict[str, Any]:
    """The spec, with what the command line changes."""
    spec = load(HERE / "spec.toml")
    base = {**spec.base, **({} if options.steps is None else {"steps": options.steps})}
    seeds = list(spec.seeds) if options.seeds is None else options.seeds
    axes = {axis.name: list(axis.values) for axis in spec.axes}
    return {"seeds": seeds, "base": {"env": spec.env, **base}, "axes": axes}


def summarise(out: Path) -> list[dict[str, Any]]:
    """A row for each temperature: IQM and 95 % interval over seeds of what was measured at the end."""
    last = {line["member"]: line for line in ledger.read(out) if line["kind"] == "evaluation"}
    rows: dict[float, dict[str, list[float]]] = {}
    for member in folder.read(out).members:
        row = rows.setdefault(member.changes["temperature"], {name: [] for name in MEASURED})
        for name, field in MEASURED.items():
            row[name].append(last[member.id][field])
    return [
        {"temperature": value} | {name: statistics.interval([scores])._asdict() for name, scores in row.items()}
        for value, row in rows.items()
    ]


def exact_entropy(temperature: np.ndarray, gamma: float = 0.95) -> np.ndarray:
    """Entropy in nats of the soft-optimal Gaussian policy of the unbounded problem."""
    p = 1.0
    for _ in range(1000):
        curvature = NOISE_COST + gamma * p * GAIN**2
        p = 1.0 + gamma * p * DECAY**2 - (gamma * p * DECAY * GAIN) ** 2 / curvature
    return 0.5 * np.log(2.0 * np.pi * np.e * temperature / curvature)


def draw(table: list[dict[str, Any]], path: Path) -> None:
    """Returns and entropy against the temperature, with intervals."""
    figure, (returns, entropy) = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
    at = np.array([row["temperature"] for row in table])
    for axis, name, colour, label in (
        (returns, "mode", MODE, "deterministic (the mode)"),
        (returns, "sampled", SAMPLED, "sampled"),
        (entropy, "entropy", ENTROPY, "learnt, E[−log π]"),
    ):
        point, low, high = (np.array([row[name][part] for row in table]) for part in ("point", "low", "high"))
        axis.plot(at, point, "o-", color=colour, label=label, markersize=4)
        axis.fill_between(at, low, high, color=colour, alpha=0.2, linewidth=0)
    line = np.geomspace(at[0], at[-1], 200)
    entropy.plot(line, exact_entropy(line), color="0.4", linestyle="--", label="exact, without bounds")
    entropy.axhline(np.log(2.0), color="0.7", linestyle=":", label="uniform on (−1, 1)")
    returns.set(xscale="log", xlabel=r"temperature $\alpha$", ylabel="return of 100 steps", title="What it costs")
    entropy.set(xscale="log", xlabel=r"temperature $\alpha$", ylabel="nats", title="What it buys: entropy")
    entropy.set_ylim(top=1.2)
    returns.legend(frameon=False, fontsize=8)
    entropy.legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(path, dpi=160)


if __name__ == "__main__":
    main()
