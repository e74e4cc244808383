"""A run's directory: one process at a time, and the configuration that says how to run it again."""

import errno
import fcntl
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from softrl.errors import CheckpointError, ConfigError
from softrl.storage import durable

_LOCK = ".lock"
CONFIG = "config.json"
_NO_PATH = (errno.ENAMETOOLONG, errno.ELOOP)
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class Claim(NamedTuple):
    """A run directory that belongs to this process, until `release`, the end of a `with`, or the process's end."""

    directory: Path
    descriptor: int

    def release(self) -> None:
        """Lets the next process in. The lock file stays: deleting it could let two in."""
        os.close(self.descriptor)

    def __enter__(self) -> "Claim":
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


def claim(directory: Path) -> Claim:
    """Creates a run's directory and locks it, so that no second process trains in it.

    The lock is the kernel's (`flock` on `.lock`): it ends with the process however that ends, so a killed run never
    leaves one behind. Where the file system has no locks, a warning says so and the run goes on.

    Raises:
      ConfigError: the path is, or leads through, a file, or is no possible path.
      CheckpointError: another process holds it (named by its pid), or it cannot be written to.
    """
    directory = Path(directory).absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        blocking = next(path for path in (directory, *directory.parents) if path.exists() or path.is_symlink())
        raise ConfigError(f"--out {directory}: {blocking} is not a directory; choose another") from None
    except ValueError as error:
        raise ConfigError(f"--out {str(directory)!r}: {error}") from None
    except OSError as error:
        kind = ConfigError if error.errno in _NO_PATH else CheckpointError
        raise kind(f"cannot create {directory}: {durable.cause(error, directory)}") from error
    with durable.explained("write to", directory):
        descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            _lock(directory, descriptor)
            # Real bytes on the disk: a full one refuses here, before anything is compiled.
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {os.uname().nodename}\n".encode(), 0)
            os.fsync(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
    return Claim(directory, descriptor)


def _lock(directory: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
        raise CheckpointError(
            f"{directory} is in use by {holder}; wait for it, stop it, or choose another directory with --out"
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        warnings.warn(f"{directory}: this file system has no locks; start only one run in it", stacklevel=3)


def write_config(directory: Path, config: dict[str, Any]) -> None:
    """Writes `config.json` atomically; a crash leaves the old one or the new one.

    Raises: TypeError: a value that JSON cannot hold. CheckpointError: the file system refused.
    """
    path = Path(directory) / CONFIG
    with durable.explained("write", path):
        durable.write_atomically(path, durable.encode(config, indent=2).encode() + b"\n")


def read_config(directory: Path) -> dict[str, Any]:
    """The configuration that `write_config` wrote; tuples come back as lists.

    Raises: CheckpointError: there is none (then `directory` is not a run's), or it is damaged.
    """
    path = Path(directory) / CONFIG
    if not path.exists():
        raise CheckpointError(f"{directory} is not a run: it has no {CONFIG}")
    return durable.read_object(path, "restore it, or choose another directory")


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Dotted names of the fields in which two configurations differ, sorted; a field that only one has is one.

    Compared as JSON: a tuple equals the list that it comes back as, 1 equals 1.0, and true is not 1.

    Example:
      >>> differences({"steps": 1, "agent": {"hidden": [256, 256]}}, {"steps": 1, "agent": {"hidden": (128, 128)}})
      ['agent.hidden']
    """
    return sorted(_different(durable.decode(durable.encode(old)), durable.decode(durable.encode(new)), ""))


def _different(old: Any, new: Any, name: str) -> list[str]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if durable.encode(_as_float(old)) == durable.encode(_as_float(new)) else [name]
    found = []
    for field in old.keys() | new.keys():
        path = f"{name}.{field}" if name else field
        both = field in old and field in new
        found += _different(old[field], new[field], path) if both else [path]
    return found


def _as_float(value: Any) -> Any:
    """Numbers as floats, so that 1 and 1.0 read the same; integers beyond a float's precision as they are."""
    if isinstance(value, list):
        return [_as_float(item) for item in value]
    exact = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**53
    return float(value) if exact else value
