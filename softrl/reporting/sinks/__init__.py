"""Sinks: what a run or a sweep measures, also in TensorBoard or Weights & Biases, while it goes on.

metrics.jsonl and the ledger stay the source of every number; a sink that fails is named once and left out, and
training goes on.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from softrl.errors import require_known
from softrl.reporting.sinks import scalars

MODULES = {"tensorboard": "softrl.reporting.sinks.tensorboard", "wandb": "softrl.reporting.sinks.wandb"}
"""Modules with an `open_sink(directory) -> Sink`, imported when they are used."""

Listener = Callable[[dict[str, Any]], None]
"""As in `softrl.training.session` and `softrl.sweep.driver`."""


class Sink(Protocol):
    """A place for numbers. A run is a member of a sweep, or of a run with several seeds; a solo run is `""`."""

    def begin(self, run: str, config: Mapping[str, Any]) -> None:
        """Says what a run is, before its first numbers, and again when it is resumed."""

    def write(self, run: str, step: int, values: Mapping[str, float]) -> None:
        """Adds numbers at so many environment steps."""

    def end(self, run: str) -> None:
        """No more will come of this run: its numbers are to be on the disk, or sent."""


def parse_sinks(spelled: str | Sequence[str]) -> tuple[str, ...]:
    """The sinks in `tensorboard,wandb`, or in a list of names; none in an empty text.

    Raises: ConfigError naming an unknown one with the nearest known.
    """
    spelled = spelled.split(",") if isinstance(spelled, str) else spelled
    found = tuple(name.strip() for name in spelled if name.strip())
    for name in found:
        require_known("sink", name, MODULES)
    return found


@contextlib.contextmanager
def opened(
    wanted: Sequence[str], directory: Path, note: Callable[[str], None], *, after: Listener = lambda event: None
) -> Iterator[Listener]:
    """A listener that passes the events of `softrl.train` or `softrl.sweep.run` on to sinks, while the block runs.

    Args: `wanted`: from `parse_sinks`; `directory`: of the run or sweep; `note`: called when a sink fails and is left
    out; `after`: a listener that is called first.
    Raises: ConfigError where a sink's library is not installed, or it refuses to begin.
    """
    outlets = [_Outlet(name, importlib.import_module(MODULES[name]).open_sink(directory), note) for name in wanted]

    def listen(event: dict[str, Any]) -> None:
        after(event)
        for outlet in outlets:
            outlet.pass_on(event)

    try:
        yield listen
    finally:
        for outlet in outlets:
            for run in sorted(outlet.begun):
                outlet.do("end", run)


class _Outlet:
    """A sink until it fails."""

    def __init__(self, name: str, sink: Sink, note: Callable[[str], None]):
        self.name, self.sink, self.note = name, sink, note
        self.sweeping, self.begun = False, set()

    def do(self, action: str, run: str, *arguments: Any) -> None:
        """One call of the sink."""
        if self.sink is None:
            return
        (self.begun.discard if action == "end" else self.begun.add)(run)
        try:
            getattr(self.sink, action)(run, *arguments)
        except Exception as error:  # other people's services fail in their own ways; none is worth a run
            self.note(f"{self.name} failed and is left out from here on: {type(error).__name__}: {error}")
            self.sink = None

    def pass_on(self, event: Mapping[str, Any]) -> None:
        """Passes one event on."""
        kind = event["event"]
        if kind == "begun":
            self.sweeping = True
            ended = {name for line in event["lines"] if line["kind"] == "batch" for name in line["members"]}
            for member in event["sweep"].members:
                if member.id not in ended:
                    self.do("begin", member.id, {**member.changes, "seed": member.seed})
        elif kind == "lines":
            self._lines(event["lines"])
        elif kind == "assembled" and not self.sweeping:
            assembled = event["assembled"]
            for run, config in scalars.runs_of(assembled.config, assembled.members):
                self.do("begin", run, config)
        elif kind == "evaluation" and not self.sweeping:  # a sweep's come as lines of its ledger, each once
            for run, values in scalars.of_record(event["record"]):
                self.do("write", run, event["record"]["env_steps"], values)

    def _lines(self, lines: Sequence[Mapping[str, Any]]) -> None:
        for line in lines:
            if line["kind"] == "evaluation":
                self.do("write", line["member"], line["step"], scalars.of_line(line))
            elif line["kind"] == "member":
                self.do("begin", line["member"], {**line["changes"], "seed": line["seed"]})
            elif line["kind"] == "diverged":
                self.do("write", line["member"], line["step"], {"health/diverged": 1.0})
            elif line["kind"] == "batch":
                for member in line["members"]:
                    self.do("end", member)
