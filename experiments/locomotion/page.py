"""Tables and pictures of docs/benchmarks.md from the committed results: `python experiments/locomotion/page.py`.

Between `<!-- suite NAME -->` and `<!-- /suite -->` it puts what `softrl table` says of results/NAME and a picture of
its curves, docs/images/NAME.png, which holds the checksum of the numbers that it shows.
"""

import contextlib
import hashlib
import io
import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from softrl import cli_table
from softrl.reporting import media
from softrl.reporting.table import gather
from softrl.reporting.table.comparison import column_names
from softrl.reporting.table.results import Result
from softrl.storage import durable

ROOT = Path(__file__).resolve().parents[2]
HERE = Path("experiments/locomotion")
PAGE = Path("docs/benchmarks.md")
AT_SECONDS = {"brax-5min": 120.0}
"""Suites whose returns at equal seconds are told, too."""

AGAINST = {"gym-100k": HERE / "published.toml"}
"""Suites of which others have published numbers."""

PART = re.compile(r"<!-- suite (\S+) -->\n.*?<!-- /suite -->", re.DOTALL)
COLOURS = ("#1b6ca8", "#c4572e", "#4b8b3b", "#7a4fa3", "#8a6d1f", "#555555")
COLUMNS = 4


def main() -> None:
    """Rewrites the page and its pictures."""
    page = ROOT / PAGE
    durable.write_atomically(page, refreshed(page.read_text()).encode())
    for suite in PART.findall(page.read_text()):
        print(drawn(suite))


def refreshed(page: str) -> str:
    """The page with every suite's part made anew."""
    return PART.sub(lambda part: f"<!-- suite {part[1]} -->\n{shown(part[1])}\n<!-- /suite -->", page)


def shown(suite: str) -> str:
    """A suite's part of the page: the command, what it says, the picture."""
    others, seconds = AGAINST.get(suite), AT_SECONDS.get(suite)
    words = [str(HERE / "results" / suite)]
    words += ["--against", str(others)] if others else []
    words += ["--at-seconds", f"{seconds:g}"] if seconds else []
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(io.StringIO()) as said:
        cli_table.table(words)
    picture = f"![Returns over environment steps, each seed a thin line](images/{suite}.png)"
    return f"\n```bash\nsoftrl table {' '.join(words)}\n```\n\n{said.getvalue()}\n{picture}\n"


def results(suite: str) -> list[Result]:
    """What is committed of a suite."""
    return gather.read(ROOT / HERE / "results" / suite)


def fingerprint(suite: str) -> str:
    """The checksum of the curves that a picture shows."""
    found = results(suite)
    curves = [
        [one.task, column, one.seed, one.curve["env_steps"], one.curve["return"]]
        for one, column in zip(found, column_names(found), strict=True)
    ]
    return hashlib.sha256(durable.encode(curves).encode()).hexdigest()


def picture(suite: str) -> Path:
    """Where a suite's picture is."""
    return ROOT / "docs/images" / f"{suite}.png"


def drawn(suite: str) -> Path:
    """Draws a suite's curves, a panel a task: each seed a thin line, the mean of seeds with equal steps a thick one."""
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    by_task: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    found = results(suite)
    for one, column in zip(found, column_names(found), strict=True):
        by_task[one.task][column].append(one)
    columns = sorted({column for task in by_task.values() for column in task}, reverse=True)
    rows = -(-len(by_task) // COLUMNS)
    with matplotlib.style.context("default"):
        figure = Figure(figsize=(11, 2.4 * rows), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for panel in panels[len(by_task) :]:
            panel.set_axis_off()
        for panel, (task, runs) in zip(panels, by_task.items(), strict=False):
            panel.set_title(task, fontsize=9)
            panel.tick_params(labelsize=7)
            panel.grid(alpha=0.25)
            for column in runs:
                lines(panel, runs[column], column, COLOURS[columns.index(column)])
            panel.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k")
        known = {line.get_label(): line for panel in panels for line in panel.get_legend_handles_labels()[0]}
        style = {"loc": "outside lower center", "ncols": len(known), "fontsize": 8, "frameon": False}
        figure.legend(known.values(), known.keys(), **style)
        with media.whole(picture(suite)) as part:
            figure.savefig(part, format="png", metadata={"Software": None, "Description": fingerprint(suite)})
    return picture(suite)


def lines(panel, runs: list[Result], column: str, colour: str) -> None:
    """One column's seeds in a panel, and their mean where they were evaluated at the same steps."""
    for one in runs:
        panel.plot(one.curve["env_steps"], one.curve["return"], color=colour, linewidth=0.8, alpha=0.4)
    steps = [tuple(one.curve["env_steps"]) for one in runs]
    if len(set(steps)) == 1:
        panel.plot(steps[0], np.mean([one.curve["return"] for one in runs], axis=0), color=colour, label=column)


if __name__ == "__main__":
    main()
