"""Rounds in which every contestant takes its turn."""

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from benchmarks import protocol


class Contestant(NamedTuple):
    """name: of its log. environment: of `protocol.PYTHON`. module: of `benchmarks.workers`. wishes: its settings.
    extra: environment variables."""

    name: str
    environment: str
    module: str
    wishes: dict[str, Any]
    extra: Mapping[str, str] = MappingProxyType({})


def take(
    contestants: list[Contestant], *, rounds: int, seconds: float, logs: Path
) -> tuple[dict[str, dict[str, list[float]]], dict[str, Any]]:
    """For each contestant the rates of its variants, one a round; and what each said of itself.

    All are started first; then a round asks every variant of each, one at a time, for about `seconds` of work.
    """
    logs.mkdir(parents=True, exist_ok=True)
    rates: dict[str, dict[str, list[float]]] = {contestant.name: {} for contestant in contestants}
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(protocol.worker(*contestant, logs=logs)) for contestant in contestants]
        for turn in range(rounds):
            for worker in workers:
                for variant in worker.variants:
                    rates[worker.name].setdefault(variant, []).append(protocol.ask(worker, variant, seconds))
            print(f"  round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
        return rates, {worker.name: worker.about for worker in workers}
