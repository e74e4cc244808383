"""Pushes that were stored since the last save, on disk: an acknowledged push survives a kill of the server.

A segment is a file `<number>.journal` of records: 4 bytes of length, 32 of sha256, then the record. A new one is begun
at every save, and the save says which; so a save and the segments from there on are everything that was stored. A
record reaches the operating system before its push is acknowledged: it outlives the process; a loss of power only where
the journal is synced, which waits for the disk at every record.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from softrl.storage import durable

_SEGMENT = re.compile(r"([0-9]{1,15})\.journal", re.ASCII)
_PREFIX = 36


@dataclass
class Journal:
    """An open journal; used by one thread at a time. number, size: of the segment that is written to, in bytes. sync:
    whether a record is on the disk when `append` returns."""

    directory: Path
    number: int
    size: int
    descriptor: int
    sync: bool


def read(directory: Path, first: int) -> Iterator[bytes]:
    """The records of all segments from number `first` on, in order.

    A record that is not whole ends its segment: the process was killed while it wrote it, and acknowledged nothing.
    """
    for number, path in _segments(directory):
        if number >= first:
            with path.open("rb") as file:
                yield from _records(file)


def open_journal(directory: Path, first: int, *, sync: bool = False) -> Journal:
    """Opens a new segment after all that are there, and never before `first`.

    Args: `sync`: whether `append` waits for the disk. Raises: CheckpointError: the file system refused.
    """
    with durable.explained("write the journal in", directory):
        directory.mkdir(parents=True, exist_ok=True)
        number = max([first, *(number + 1 for number, _ in _segments(directory))])
        return Journal(directory, number, 0, _new_segment(directory, number), sync)


def append(journal: Journal, record: bytes) -> None:
    """Adds a record; what a full disk left of one is taken back.

    Raises: CheckpointError: the file system refused; the journal is as it was.
    """
    data = len(record).to_bytes(4, "little") + hashlib.sha256(record).digest() + record
    with durable.explained("write the journal in", journal.directory):
        try:
            written = os.write(journal.descriptor, data)
            while written < len(data):
                written += os.write(journal.descriptor, data[written:])
            if journal.sync:
                os.fsync(journal.descriptor)
        except OSError:
            take_back(journal, journal.size)
            raise
    journal.size += len(data)


def take_back(journal: Journal, size: int) -> None:
    """Cuts the segment to `size` bytes, as it was before an `append`."""
    os.ftruncate(journal.descriptor, size)
    journal.size = size


def begin(journal: Journal) -> None:
    """Begins the next segment, unless the present one is empty.

    Raises: CheckpointError: the file system refused; the old segment goes on.
    """
    if not journal.size:
        return
    with durable.explained("write the journal in", journal.directory):
        descriptor = _new_segment(journal.directory, journal.number + 1)
    os.close(journal.descriptor)
    journal.descriptor, journal.number, journal.size = descriptor, journal.number + 1, 0


def delete(journal: Journal, *, before: int) -> None:
    """Deletes the segments before a number. Raises: CheckpointError: the file system refused."""
    with durable.explained("write the journal in", journal.directory):
        for number, path in _segments(journal.directory):
            if number < before:
                path.unlink()


def close(journal: Journal) -> None:
    """Closes the segment; an empty one is deleted."""
    os.close(journal.descriptor)
    if not journal.size:
        with contextlib.suppress(OSError):
            (journal.directory / f"{journal.number}.journal").unlink()


def _new_segment(directory: Path, number: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    descriptor = os.open(directory / f"{number}.journal", flags, 0o600)
    durable.sync_directory(directory)
    return descriptor


def _segments(directory: Path) -> list[tuple[int, Path]]:
    if not directory.is_dir():
        return []
    found = ((_SEGMENT.fullmatch(path.name), path) for path in directory.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match)


def _records(file) -> Iterator[bytes]:
    while len(prefix := file.read(_PREFIX)) == _PREFIX:
        length = int.from_bytes(prefix[:4], "little")
        record = file.read(length)
        if len(record) < length or hashlib.sha256(record).digest() != prefix[4:]:
            return
        yield record
