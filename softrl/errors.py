"""Errors that a user can cause. Each says what was given, what was expected and what to do."""

import difflib
import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class SoftRLError(Exception):
    """Base of every error that softrl raises on purpose; the command line prints it without a traceback."""


class ConfigError(SoftRLError, ValueError):
    """A setting has an unknown name, a wrong type or a value out of its range."""


class BatchError(SoftRLError, ValueError):
    """A pushed batch (or observation) that cannot be learned from; nothing was changed.

    field: where in the batch, dotted. expected, got: in words. rows: the first bad rows, empty where all are.
    """

    def __init__(self, field: str, expected: str, got: str, rows: Sequence[int] = ()):
        self.field, self.expected, self.got, self.rows = field, expected, got, tuple(rows)
        where = f" (rows {', '.join(map(str, self.rows))})" if self.rows else ""
        super().__init__(f"{field}: expected {expected}, got {got}{where}")


class CheckpointError(SoftRLError):
    """A run on disk is damaged, foreign or cannot be written."""


class DivergedError(SoftRLError):
    """Every member of a run stopped learning because its numbers became non-finite."""


class RenderError(SoftRLError):
    """A picture or film cannot be made on this machine or of these states; training needs none of them."""


class TensorError(SoftRLError, ValueError):
    """Bytes that should hold named arrays, or a policy, do not."""


class ServerError(SoftRLError):
    """A server cannot be reached, or refuses; what was pushed before is safe."""


class ExportError(SoftRLError):
    """A policy cannot be written in a format, or what was written does not act as the live one does."""


def suggestion(name: str, known: Iterable[str], former: Mapping[str, str] | None = None) -> str:
    """`"; did you mean 'x'?"` for the known name nearest to `name`, or an empty string.

    Args: `former`: names that there were -> those of today, which need not be near.
    """
    today = (former or {}).get(name)
    near = [today] if today else difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def require_known(what: str, name: Any, known: Iterable[str]) -> None:
    """Raises: ConfigError for a name that is not known, with the nearest that is."""
    if name not in known:
        raise ConfigError(f"unknown {what} {name!r}{suggestion(str(name), known)}; known: {', '.join(known)}")


def library(name: str, needed: str, extra: str) -> Any:
    """An optional library. Args: `needed`: what needs it, in words; `extra`: of softrl's, that brings it.

    Raises: ConfigError where it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(f"{needed}: pip install 'softrl[{extra}]'") from None
