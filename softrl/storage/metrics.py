"""metrics.jsonl: one JSON object a line, appended and flushed to the disk, the source of every curve and table.

A checkpoint remembers the byte offset of the metrics that belong to it; resuming truncates to it, so the log of a run
that was killed and resumed has no gap and no duplicate. What depends on the clock stands under `record["timing"]`;
every other byte is the same whenever the run is repeated.
"""

import contextlib
import os
from pathlib import Path
from typing import Any, NamedTuple

from softrl.errors import CheckpointError
from softrl.storage import durable


class Log(NamedTuple):
    """An open log. path: of the file. descriptor: positioned at its end."""

    path: Path
    descriptor: int


def open_log(path: Path, offset: int | None = None) -> Log:
    """Opens a log for appending, creating it if it is not there.

    Args:
      path: the file.
      offset: byte offset to truncate to, as `write` returned it: 0 starts anew. None keeps every whole line and drops
        only a last line that a crash tore.
    Raises: CheckpointError: the file cannot be written, is shorter than `offset`, or has no line that ends there.
    """
    path = Path(path)
    with durable.explained("open the metrics log", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            end = _whole(os.pread(descriptor, os.fstat(descriptor).st_size, 0)) if offset is None else offset
            _require_line_end(path, descriptor, end)
            os.ftruncate(descriptor, end)
            os.lseek(descriptor, end, os.SEEK_SET)
            os.fsync(descriptor)
            durable.sync_directory(path.parent)
        except BaseException:
            os.close(descriptor)
            raise
    return Log(path, descriptor)


def _whole(content: bytes) -> int:
    """Bytes of `content` up to the end of its last line that a crash left whole."""
    end = content.rfind(b"\n") + 1
    start = content.rfind(b"\n", 0, max(0, end - 1)) + 1
    return end if end == 0 or _is_record(content[start:end]) else start


def _is_record(line: bytes) -> bool:
    with contextlib.suppress(ValueError):
        return isinstance(durable.decode(line), dict)
    return False


def _require_line_end(path: Path, descriptor: int, end: int) -> None:
    size = os.fstat(descriptor).st_size
    advice = "restore the file, or start again in another directory with --out"
    if end > size:
        raise CheckpointError(f"{path} has {size:,} bytes, but its checkpoint was saved when it had {end:,}; {advice}")
    if end and os.pread(descriptor, 1, end - 1) != b"\n":
        raise CheckpointError(
            f"{path} has no line that ends at byte {end:,}, where its checkpoint was saved: it was changed since; "
            f"{advice}"
        )


def write(log: Log, record: dict[str, Any]) -> int:
    """Appends one record as one line and flushes it to the disk; see `write_all`."""
    return write_all(log, [record])


def write_all(log: Log, records: list[dict[str, Any]]) -> int:
    """Appends records, one a line, and flushes them to the disk in one go.

    NaN, ∞ and −∞ are written as the strings "NaN", "Infinity" and "-Infinity", which JSON can hold and `read` turns
    back into numbers. Arrays become lists.

    Args: `records`: name → number, string, list or mapping; what the clock decides under "timing".
    Returns: The byte offset after the last line, for the checkpoint to remember.
    Raises:
      TypeError: a value that JSON cannot hold; nothing is written.
      CheckpointError: the file system refused; the log is as it was.
    """
    lines = "".join(durable.encode(record) + "\n" for record in records).encode()
    start = os.lseek(log.descriptor, 0, os.SEEK_CUR)
    with durable.explained("append to the metrics log", log.path):
        try:
            _write(log.descriptor, lines)
            os.fsync(log.descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(log.descriptor, start)
                os.lseek(log.descriptor, start, os.SEEK_SET)
            raise
    return start + len(lines)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def close(log: Log) -> None:
    """Closes the file; every record is on the disk already."""
    os.close(log.descriptor)


def read(path: Path) -> list[dict[str, Any]]:
    """All records of a log, oldest first, without a last line that a crash tore.

    Raises: CheckpointError: there is no such file, or a line before the last is not a record (its number is named).
    """
    path = Path(path)
    with durable.explained("read the metrics log", path):
        content = path.read_bytes()
    lines = content[: _whole(content)].split(b"\n")[:-1]
    for number, line in enumerate(lines, start=1):
        if not _is_record(line):
            raise CheckpointError(f"{path}, line {number}: not a JSON object; the log was changed or damaged")
    return [durable.decode(line) for line in lines]
