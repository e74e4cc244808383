"""What callbacks and updates record, in lines on the terminal and in TensorBoard's files; shaped as their `Logger`."""

import numbers
from collections import Counter
from pathlib import Path
from typing import Any

from softrl.errors import library
from softrl.reporting.sinks.tensorboard import TensorBoard


class Logger:
    """name_to_value: recorded since the last `dump`."""

    def __init__(self, *, printing: bool = False, sink: TensorBoard | None = None, run: str = ""):
        """Args: `printing`: a line for each dump; `sink`: files in TensorBoard's form, where `run` is a folder."""
        self.printing, self.sink, self.run = printing, sink, run
        self.name_to_value: dict[str, Any] = {}
        self._exclude: dict[str, str | tuple[str, ...]] = {}
        self._counts: Counter[str] = Counter()

    def record(self, key: str, value: Any, exclude: str | tuple[str, ...] | None = None) -> None:
        """Notes a value. Args: `exclude`: `stdout` or `tensorboard`, where it is left out."""
        self.name_to_value[key], self._exclude[key] = value, exclude or ()

    def record_mean(self, key: str, value: float | None, exclude: str | tuple[str, ...] | None = None) -> None:
        """Notes the mean of all values since the last dump."""
        if value is not None:
            self._counts[key] += 1
            mean = self.name_to_value.get(key, 0.0)
            self.record(key, mean + (value - mean) / self._counts[key], exclude)

    def dump(self, step: int = 0) -> None:
        """Writes the numbers among what was noted, and forgets all."""
        known = {name: value for name, value in self.name_to_value.items() if isinstance(value, numbers.Real)}
        if self.printing:
            shown = {name: value for name, value in known.items() if "stdout" not in self._exclude[name]}
            print("  ".join(f"{name.rpartition('/')[2]} {_short(value)}" for name, value in shown.items()))
        if self.sink is not None:
            kept = {name: float(value) for name, value in known.items() if "tensorboard" not in self._exclude[name]}
            self.sink.write(self.run, step, kept)
        for table in (self.name_to_value, self._exclude, self._counts):
            table.clear()

    def close(self) -> None:
        """Ends the files."""
        if self.sink is not None:
            self.sink.end(self.run)


def files(tensorboard_log: str | None) -> TensorBoard | None:
    """Where TensorBoard's files go. Raises: ConfigError where nothing is installed that writes them."""
    if tensorboard_log is None:
        return None
    needed = library("tensorboardX", "tensorboard_log needs tensorboardX", "tensorboard")
    return TensorBoard(Path(tensorboard_log), needed.SummaryWriter)


def next_run(sink: TensorBoard | None, name: str, *, new: bool) -> str:
    """`SAC_1`, `SAC_2`, … beside those that are there. Args: `new`: not the last one again."""
    taken = sink.directory.glob(f"{name}_*") if sink is not None else ()
    counts = [int(count) for path in taken if (count := path.name.removeprefix(f"{name}_")).isdecimal()]
    return f"{name}_{max(max(counts, default=0) + new, 1)}"


def _short(value: Any) -> str:
    return f"{int(value):,}" if isinstance(value, numbers.Integral) else f"{float(value):,.4g}"
