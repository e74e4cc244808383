"""Prints the tables of this folder's README from its JSON: `python experiments/choices/table.py`."""

import json
from bisect import bisect_right
from pathlib import Path

HERE = Path(__file__).parent
COLUMNS = {
    "choices.json": ("env_steps", range(20_000, 100_001, 20_000)),
    "halfcheetah.json": ("env_steps", range(20_000, 100_001, 20_000)),
    "classic.json": ("env_steps", range(20_000, 100_001, 20_000)),
    "host.json": ("seconds", range(100, 401, 100)),
    "brax.json": ("env_steps", range(73_728, 294_913, 73_728)),
    "playground.json": ("env_steps", range(49_152, 294_913, 49_152)),
}
"""By file, the environment steps or seconds whose returns are shown: the last evaluation until then."""


def row(run: dict, axis: str, columns: range) -> str:
    """One run: robot, flags, seed and its returns."""
    cells = []
    for value in columns:
        last = bisect_right(run[axis], value) - 1
        ended = run[axis][-1] < value - columns.step // 2
        cells.append("" if ended else f"{run['returns'][last]:,.0f}")
    flags = f"`{run['flags']}`" if run["flags"] else "none"
    return f"| {run['env'].partition('/')[2]} | {flags} | {run['seed']} | {' | '.join(cells)} |"


def table(name: str) -> str:
    """All runs of a file."""
    axis, columns = COLUMNS[name]
    unit = " s" if axis == "seconds" else ""
    runs = json.loads((HERE / name).read_text())
    head = f"| robot | flags | seed | {' | '.join(f'{value:,}{unit}' for value in columns)} |"
    return "\n".join([head, "|---" * (3 + len(columns)) + "|", *(row(run, axis, columns) for run in runs)])


if __name__ == "__main__":
    for name in COLUMNS:
        print(f"{name}\n\n{table(name)}\n")
