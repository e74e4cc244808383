"""`softrl table`."""

import shlex
from dataclasses import dataclass
from typing import Annotated

import tyro

from softrl import zoo
from softrl.config import Within, setting
from softrl.errors import ConfigError


@dataclass(frozen=True)
class TableOptions:
    """Returns of many runs by task and algorithm, and scores over tasks with intervals."""

    directory: tyro.conf.Positional[str]
    """Read the files of results, the run directories or the sweep in this directory."""
    against: str | None = None
    """Put the published numbers of this TOML file beside them."""
    out: str | None = None
    """Write to this file, as .md, .html, .csv, or .json for rliable; without it the table is printed."""
    reference: str | None = None
    """A score of 1 is this column's mean, by default the best published number of a task, or else its best column."""
    at_steps: int | None = None
    """Compare the returns at this many environment steps, too."""
    at_seconds: float | None = None
    """Compare the returns after this many seconds, compilation included, too."""


def table(argv: list[str]) -> int:
    """`softrl table`."""
    about = "Tables of many runs: returns by task and algorithm, and scores over tasks with bootstrap intervals."
    options = tyro.cli(TableOptions, args=argv, prog="softrl table", description=about)
    from softrl.reporting.table import comparison, gather, published, write

    if options.out is not None:
        write.writer(options.out)
    if options.at_steps is not None:
        setting("at_steps", options.at_steps, Annotated[int, Within(1)])
    if options.at_seconds is not None and not options.at_seconds > 0:
        raise ConfigError(f"at_seconds must be a number of seconds above 0, got {options.at_seconds}")
    zoo.refuse(options.directory)
    found = gather.read(options.directory)
    others = [] if options.against is None else published.read(options.against)
    how = {"at_steps": options.at_steps, "at_seconds": options.at_seconds, "reference": options.reference}
    made = comparison.compare(found, others, **how)
    if options.out is None:
        print(write.markdown(made), end="")
    else:
        print(write.write(made, options.out, f"softrl table {shlex.join(argv)}"))
    return 0
