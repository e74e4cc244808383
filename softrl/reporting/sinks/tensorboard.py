"""TensorBoard: event files in DIR/tensorboard, one folder a member: `tensorboard --logdir DIR/tensorboard`."""

import json
import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softrl.errors import library

OPEN = 64
"""Event files open at a time, of perhaps thousands of members; a file that was closed is followed by another."""


class TensorBoard:
    """Writes event files; a `softrl.reporting.sinks.Sink`."""

    def __init__(self, directory: Path, writer: Any):
        """`directory`: for all runs; `writer`: makes one run's, `tensorboardX.SummaryWriter`."""
        self.directory, self.writer = directory, writer
        self.open: OrderedDict[str, Any] = OrderedDict()
        self.configs: dict[str, Mapping[str, Any]] = {}
        self.opened = 0

    def begin(self, run: str, config: Mapping[str, Any]) -> None:
        """Remembers the settings, which stand as text beside the first numbers."""
        self.configs[run] = config

    def write(self, run: str, step: int, values: Mapping[str, float]) -> None:
        """Adds scalars at an environment step."""
        file = self._file(run)
        if run in self.configs:
            file.add_text("config", f"```json\n{json.dumps(self.configs.pop(run), indent=2, default=str)}\n```", 0)
        for name, value in values.items():
            file.add_scalar(name, value, step)
        file.flush()

    def end(self, run: str) -> None:
        """Closes a run's file."""
        if run in self.open:
            self.open.pop(run).close()

    def _file(self, run: str) -> Any:
        if run not in self.open:
            if len(self.open) >= OPEN:
                self.end(next(iter(self.open)))
            # Its own names tell files apart by the second alone: a second one would replace the first.
            self.opened += 1
            self.open[run] = self.writer(str(self.directory / run), filename_suffix=f".{os.getpid()}.{self.opened:06d}")
        self.open.move_to_end(run)
        return self.open[run]


def open_sink(directory: Path) -> TensorBoard:
    """TensorBoard's event files of a run or sweep.

    Raises: ConfigError where nothing is installed that writes them.
    """
    module = library("tensorboardX", "the sink tensorboard needs tensorboardX", "tensorboard")
    return TensorBoard(Path(directory) / "tensorboard", module.SummaryWriter)
