"""A comparison as Markdown, as a page, as CSV, and as what rliable reads."""

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path

from softrl.errors import ConfigError, require_known
from softrl.reporting import media
from softrl.reporting.report import svg, tables, template
from softrl.reporting.report.svg import tag
from softrl.reporting.table.comparison import Comparison, matrices
from softrl.reporting.table.grids import Grid, grids, notes
from softrl.storage import durable

TITLE = "Returns by task and algorithm"


def write(comparison: Comparison, path: str | Path, command: str) -> Path:
    """Writes the file whose suffix says the format: .md, .html, .csv or .json. Args: `command`: that makes it.

    Raises: ConfigError: another suffix. RenderError: the file cannot be written.
    """
    path = Path(path)
    text = writer(path)(comparison, command)
    with media.whole(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def writer(path: str | Path) -> Callable[[Comparison, str], str]:
    """What makes the text of a file with this suffix. Raises: ConfigError: there is nothing for it."""
    require_known("format", Path(path).suffix, FORMATS)
    return FORMATS[Path(path).suffix]


def markdown(comparison: Comparison, command: str = "") -> str:
    """Aligned, so that a terminal shows it as well."""
    parts = []
    for grid in grids(comparison):
        parts += [f"**{grid.title}.** {grid.about}", _markdown_table(grid)]
    if said := notes(comparison):
        parts.append("\n".join(f"* {sentence}" for sentence in said))
    return "\n\n".join(parts) + "\n"


def _markdown_table(grid: Grid) -> str:
    lines = [list(grid.heads), *([entry.text for entry in row] for row in grid.rows)]
    lines = [[text.replace("|", "\\|") for text in line] for line in lines]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(grid.heads))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    padded = [
        [line[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True))]
        for line in (lines[0], rule, *lines[1:])
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def page(comparison: Comparison, command: str = "") -> str:
    """One HTML page with no file and no network beside it; a click on a heading sorts, a narrow one shows cards."""
    sections = []
    for index, grid in enumerate(grids(comparison)):
        columns = [tables.Column(head, numeric=i > 0) for i, head in enumerate(grid.heads)]
        rows = [[tables.Entry(svg.text(entry.text), entry.key) for entry in row] for row in grid.rows]
        table = tables.table(columns, rows, caption=grid.title, limit=100)
        sections.append(template.section(f"g{index}", grid.title, table, lead=svg.text(grid.about)))
    if said := notes(comparison):
        listed = (tag("p", svg.text(sentence), class_="lead") for sentence in said)
        sections.append(template.section("notes", "Notes", *listed))
    runs, tasks = len(comparison.results), len(comparison.rows)
    about = f"{runs} run{'s' * (runs > 1)}, {tasks} task{'s' * (tasks > 1)}"
    return template.page(
        title=TITLE, about=about, kind="Table", command=command, sections=[tag("div", *sections, class_="long")]
    )


def comma_separated(comparison: Comparison, command: str = "") -> str:
    """One line a measure, task and column, numbers in full; a number that there is not is empty."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ("measure", "task", "column", "mean", "std", "seeds", "runs", "zero", "one", "published", "comparable")
    )
    for panel in comparison.panels:
        for (row, column), cell in panel.cells.items():
            scale = panel.scales.get(row)
            other = comparison.others.get(column)
            numbers = (cell.mean, cell.std, cell.n, cell.runs, *((scale.zero, scale.one) if scale else (math.nan,) * 2))
            known = ["" if math.isnan(number) else repr(number) for number in numbers]
            said = (str(other is not None).lower(), str(other is None or other.comparable).lower())
            table.writerow((panel.measure.name, row, column, *known, *said))
    return text.getvalue()


def for_rliable(comparison: Comparison, command: str = "") -> str:
    """{column: [seeds, tasks]} of the first measure's scores, tasks in the order of the table.

    Raises: ConfigError: no task is common to all columns.
    """
    panel = comparison.panels[0]
    if not panel.common:
        raise ConfigError(
            "a matrix of scores needs a task that every column has, and there is none; write .csv instead"
        )
    return durable.encode(matrices(panel), indent=1) + "\n"


FORMATS = {".md": markdown, ".html": page, ".csv": comma_separated, ".json": for_rliable}
"""Suffix → writer."""
