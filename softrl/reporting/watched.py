"""A run that is being watched: progress, sinks and the caller's own functions hear of every event."""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from softrl.errors import ConfigError
from softrl.reporting import show
from softrl.reporting import sinks as outlets
from softrl.training.config import Config
from softrl.training.session import Listener

Note = Callable[[str], None]
"""Called with a line that is to stay."""

ProgressFn = Callable[[int, dict[str, Any]], None]
"""`progress_fn(env_steps, record)`, called after every evaluation with the line that went to metrics.jsonl."""


@contextlib.contextmanager
def watched(
    config: Config,
    out: Path | None,
    *,
    progress: bool = True,
    sinks: str | Sequence[str] = (),
    progress_fn: ProgressFn | None = None,
    listener: Listener | None = None,
) -> Iterator[tuple[Listener, Note]]:
    """Passes a run's events on while the block runs. Args: as of `softrl.train`.

    Yields: the listener to train with, and what prints a line. Raises: ConfigError: sinks that cannot be.
    """
    wanted = outlets.parse_sinks(sinks)
    if wanted and out is None:
        raise ConfigError(f"the sinks {', '.join(wanted)} write into the run's directory: give out=…")
    with show.training(config, progress=progress) as watcher:

        def listen(event: dict[str, Any]) -> None:
            watcher(event)
            if listener is not None:
                listener(event)
            if progress_fn is not None and event["event"] == "evaluation":
                progress_fn(event["record"]["env_steps"], event["record"])

        complain = watcher.note if progress else warnings.warn
        with outlets.opened(wanted, out, complain, after=listen) as heard:
            yield heard, watcher.note
