"""The launcher for this machine: one batch after the other in this process, one compiled program a group."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from softrl.errors import ConfigError
from softrl.sweep import batch
from softrl.training.session import Listener
from softrl.training.signals import Request

Report = Callable[[Path, str], None]
"""`report(directory of a batch, what)`: `evaluation`, read its metrics; `finished`, `batch.train` returned True."""


def launch(
    directories: Sequence[Path], report: Report, request: Request, listener: Listener, options: Mapping[str, Any]
) -> None:
    """Trains batches, in order, until all are finished or `request` asks to stop. This is what every launcher does.

    Args:
      directories: of batches that are independent of one another, each with its batch.json.
      report: called for the driver, which alone writes the ledger.
      listener: called with what else is worth showing.
      options: the launcher's own; this one has none.
    Raises: ConfigError for an option.
    """
    if options:
        raise ConfigError(f"launcher local has no options, got {', '.join(options)}; did you mean another --launcher?")
    ready = None
    for directory in directories:
        if request.requested is not None:
            return
        job = batch.read(directory)
        listener({"event": "batch", "directory": directory, "job": job})
        before, ready = ready, batch.prepare(job.config)
        if ready is not before:
            listener({"event": "compiled", "seconds": ready.programs.seconds})
        if batch.train(directory, functools.partial(_passed_on, directory, report, listener), request):
            report(directory, "finished")


def _passed_on(directory: Path, report: Report, listener: Listener, event: dict[str, Any]) -> None:
    if event["event"] == "evaluation":
        report(directory, "evaluation")
    listener(event)
