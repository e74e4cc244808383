"""ledger.jsonl: everything that a sweep has learned, one JSON object a line, appended and flushed to the disk.

A sweep's directory:

    DIR/sweep.json   what is swept, resolved: see `softrl.sweep.folder`
        ledger.jsonl this file
        results.csv  one row a member, made of the two above: see `softrl.sweep.results`
        groups/<group>/<batch>/   a run directory (config.json, metrics.jsonl, checkpoints/) of a batch of members

Every line has a `key`; lines are written in whole batches and may be repeated by a process that was killed before it
knew; `read` drops repeats, the first counts. What the clock decides stands under `timing`; every other byte of a line
is the same whenever the sweep is repeated. Kinds of lines, with the fields that each has besides `key` and `kind`:

    evaluation  member, step, updates, return_mean, return_std, length_mean, stochastic_return_mean,
                stochastic_return_std, stochastic_length_mean, entropy, temperature, quarantined, timing
                (step: environment steps of this member. A diverged member has no evaluation after the one that found
                it frozen, so that its lines do not depend on how long its siblings went on)
    diverged    member, step, updates, cause (a sentence)
    stopped     member, step, rung, cause: successive halving left it behind; it is no failure
    lineage     member, step, parent (id of the member whose state it continues, or its own), changes (axis -> value
                from here on): population-based training
    member      member, group, batch, seed, changes: a member that a sampler (Optuna) proposed after sweep.json
    batch       group, batch, members (ids): this batch has finished

Only the driver writes here. Workers, wherever they are, write metrics.jsonl in their batch's run directory, and the
driver takes over what is new (`softrl.sweep.ingest`), so a launcher needs no channel but the shared directory.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from softrl.storage import metrics

NAME = "ledger.jsonl"


class Ledger:
    """An open ledger, the one writer of its file. keys: of all lines that are on the disk."""

    def __init__(self, directory: Path):
        """Opens or creates DIR/ledger.jsonl; a last line that a crash tore is dropped.

        Raises: CheckpointError where the file system refuses, or a line before the last is damaged.
        """
        self._log = metrics.open_log(Path(directory) / NAME)
        self.keys = {line["key"] for line in metrics.read(self._log.path)}

    def add(self, lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Appends the lines whose keys are new, all in one flush, and returns those.

        Raises: CheckpointError where the file system refuses; the ledger is as it was.
        """
        new = {}
        for line in lines:
            if line["key"] not in self.keys:
                new.setdefault(line["key"], line)
        if new:
            metrics.write_all(self._log, list(new.values()))
            self.keys |= new.keys()
        return list(new.values())

    def lines(self) -> list[dict[str, Any]]:
        """All lines so far, as `read`."""
        return read(self._log.path.parent)

    def close(self) -> None:
        """Closes the file; every line is on the disk already."""
        metrics.close(self._log)


def read(directory: str | Path) -> list[dict[str, Any]]:
    """All lines of a sweep's ledger, oldest first, without repeats; none where the sweep has not begun.

    Raises: CheckpointError where a line before the last is damaged.
    """
    path = Path(directory) / NAME
    if not path.exists():
        return []
    first: dict[str, dict[str, Any]] = {}
    for line in metrics.read(path):
        first.setdefault(line["key"], line)
    return list(first.values())
