"""Prints the tables of this folder's README from its JSON: `python experiments/choices/table.py`."""

import json
from bisect import bisect_right
from pathlib import Path

HERE = Path(__file__).parent
COLUMNS = {
    "choices.json": range(20_000, 100_001, 20_000),
    "halfcheetah.json": range(20_000, 100_001, 20_000),
    "classic.json": range(20_000, 100_001, 20_000),
    "brax.json": range(73_728, 294_913, 73_728),
    "playground.json": range(49_152, 294_913, 49_152),
}
"""By file, the environment steps whose returns are shown: the last evaluation until then."""


def row(run: dict, columns: range) -> str:
    """One run: robot, flags, seed and its returns."""
    cells = []
    for step in columns:
        last = bisect_right(run["env_steps"], step) - 1
        ended = run["env_steps"][-1] < step - columns.step // 2
        cells.append("" if ended else f"{run['returns'][last]:,.0f}")
    flags = f"`{run['flags']}`" if run["flags"] else "none"
    return f"| {run['env'].partition('/')[2]} | {flags} | {run['seed']} | {' | '.join(cells)} |"


def table(name: str) -> str:
    """All runs of a file."""
    columns = COLUMNS[name]
    runs = json.loads((HERE / name).read_text())
    head = f"| robot | flags | seed | {' | '.join(f'{step:,}' for step in columns)} |"
    return "\n".join([head, "|---" * (3 + len(columns)) + "|", *(row(run, columns) for run in runs)])


if __name__ == "__main__":
    for name in COLUMNS:
        print(f"{name}\n\n{table(name)}\n")
