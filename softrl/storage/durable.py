"""Small writes that survive a crash, JSON that survives NaN, and words for what a file system refused."""

import contextlib
import errno
import json
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from softrl.errors import CheckpointError

# JSON has no such numbers; as words they stay distinguishable, and `decode` turns them back.
_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def encode(value: Any, *, indent: int | None = None) -> str:
    """Strict JSON, on one line unless `indent` says otherwise.

    Tuples and arrays become lists, NamedTuples and mappings objects, paths strings; NaN, ∞ and −∞ become the strings
    "NaN", "Infinity" and "-Infinity".

    Raises: TypeError: a value that JSON cannot hold, named by where it stands; no object is ever stringified by guess.
    """
    return json.dumps(_plain(value, "value"), allow_nan=False, ensure_ascii=False, indent=indent)


def _plain(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else json.dumps(value)  # NaN, Infinity or -Infinity
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise TypeError(f"{where}: JSON wants names that are strings, got {name!r}")
        return {name: _plain(item, f"{where}.{name}") for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return _plain(value.tolist(), where)
    raise TypeError(f"{where}: JSON cannot hold a {type(value).__name__}; convert it to numbers, strings or lists")


def decode(text: str | bytes) -> Any:
    """The value that `encode` wrote; lists stay lists.

    Raises: ValueError: not JSON (`json.JSONDecodeError`, `UnicodeDecodeError`) or nested beyond Python's limit.
    """
    try:
        return _numbers(json.loads(text))
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None


def _numbers(value: Any) -> Any:
    if isinstance(value, str):
        return _WORDS.get(value, value)
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    if isinstance(value, dict):
        return {name: _numbers(item) for name, item in value.items()}
    return value


def read_object(path: Path, advice: str) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
      CheckpointError: it is damaged, or something else than an object, with the `advice`; the file system refused.
    """
    with explained("read", path):
        content = path.read_bytes()
    with contextlib.suppress(ValueError):
        value = decode(content)
        if isinstance(value, dict):
            return value
    raise CheckpointError(f"{path} is damaged: not a JSON object; {advice}")


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces `path` by `data`: after a crash at any moment it holds the old bytes or the new, never a mixture.

    Raises: OSError: what the file system said; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Flushes a directory's entries to the disk (`fsync`): without it a rename may be lost with the power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def explained(action: str, path: Path) -> Iterator[None]:
    """Turns an `OSError` inside into a `CheckpointError` that says what could not be done, where, and what to do."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(f"cannot {action} {path}: {cause(error, path)}") from error


def cause(error: OSError, path: Path) -> str:
    """What a file system refused, and what to do about it."""
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    if error.errno in _FULL:
        free = free_bytes(path)
        known = "" if free is None else f" ({free:,} bytes free)"
        return f"{reason}{known}; free some space or choose another directory with --out"
    if error.errno in _REFUSED:
        return f"{reason}; it must be writable: choose another directory with --out"
    return reason


def free_bytes(path: Path) -> int | None:
    """Bytes that this user may still write where `path` is or would be; None where the system does not say."""
    for place in (path, *path.absolute().parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(place).free
    return None
