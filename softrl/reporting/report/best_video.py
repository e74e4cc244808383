"""The best member's video for a report: the one that is there, or a new one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from softrl.errors import CheckpointError, SoftRLError
from softrl.reporting.film import film
from softrl.reporting.report import data
from softrl.reporting.report.data import Report
from softrl.storage import metrics
from softrl.sweep import batch

LARGEST = 24 * 2**20
"""Bytes of a video that a page may carry."""


def with_video(report: Report, directory: Path, load: Callable[[Path], Any], note: Callable[[str], None]) -> Report:
    """The report with its best member's video, or with the reason why there is none.

    Args: `directory`: of the run or sweep; `load`: `softrl.load`; `note`: called with how it was drawn if that matters.
    """
    best = data.best(report.members)
    if best is None or best.home is None:
        return report
    whose = f"member {best.id}, " if len(report.members) > 1 else ""
    caption = f"The best policy on {best.task}, as it acts without noise ({whose}return {best.peak:,.0f})."
    found = next(iter(_kept(report, best, directory)), None)
    if found is None:
        try:
            run = load(_home(best))
            found = film(run.assembled, run.best_policy, _place(report, best, directory), note=note)
        except SoftRLError as error:
            return report._replace(film=f"No video: {error}.")
    content = found.read_bytes()
    if len(content) > LARGEST:
        return report._replace(film=f"The video is too large for this page: {found}.")
    return report._replace(video=content, film=caption)


def _home(best: data.Member) -> Path:
    """The run directory with this very policy. Successive halving trains a member in one directory after the other."""
    if (best.home / "config.json").exists():
        return best.home
    for path in sorted(best.home.parent.glob("*/batch.json")):
        if any(member.id == best.id for member in batch.read(path.parent).members):
            records = metrics.read(path.parent / "metrics.jsonl")
            if any(record["env_steps"] == best.peak_step for record in records):
                return path.parent
    raise CheckpointError(f"no run directory under {best.home.parent} holds member {best.id}")


def _place(report: Report, best: data.Member, directory: Path) -> Path:
    """A run has one video; a sweep's is named after its member and evaluation, since the best one changes."""
    if report.kind == "run":
        return directory / "replay.mp4"
    return directory / f"replay-{best.id}-{best.peak_step}.mp4"


def _kept(report: Report, best: data.Member, directory: Path) -> list[Path]:
    """A video of this very policy. A run's may be of an older best policy, so it must be younger than that."""
    place = _place(report, best, directory)
    there = [path for path in (place, place.with_suffix(".gif")) if path.exists()]
    if report.kind == "sweep" or not there:
        return there
    written = [path.stat().st_mtime for path in (directory / "checkpoints" / "best").glob("*")]
    return [path for path in there if path.stat().st_mtime >= max(written, default=0.0)]
