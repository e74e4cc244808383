"""Training runs watched from outside: their evaluations, dated from the start of the process."""

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from benchmarks import protocol


class Watched(NamedTuple):
    """about: versions, device, config. evaluations: each with `env_steps`, `return` and `seconds` since the start."""

    about: dict[str, Any]
    evaluations: list[dict[str, Any]]


def watch(
    module: str,
    wishes: dict[str, Any],
    log: Path,
    enough: Callable[[dict[str, Any]], bool],
    environment: str = "softrl",
    *,
    extra: Mapping[str, str] = MappingProxyType({}),
    limit: float | None = None,
) -> Watched:
    """Runs a streaming worker, with an empty compilation cache, until it ends or `enough(evaluation)`.

    A worker finds a fresh folder for its run as `out` among its settings. Args: `extra`: more environment variables;
    `limit`: seconds after which the run is ended, whatever it is doing.
    """
    about, evaluations = {}, []
    with tempfile.TemporaryDirectory() as folder:
        # Nothing compiled earlier may be found.
        extra = {**protocol.AS_TRAINED, **extra, "JAX_COMPILATION_CACHE_DIR": f"{folder}/xla"}
        for event in protocol.stream(environment, module, wishes | {"out": f"{folder}/run"}, log, extra, limit):
            if event.pop("event") == "about":
                about = event
                continue
            evaluations.append(event)
            print(
                "  {env_steps:,} steps, return {return:.0f}, {seconds:.0f} s".format(**event),
                file=sys.stderr,
                flush=True,
            )
            if enough(event):
                break
    return Watched(about, evaluations)
