"""Errors that a user can cause. Each says what was given, what was expected and what to do."""

import difflib
from collections.abc import Iterable


class SoftRLError(Exception):
    """Base of every error that softrl raises on purpose; the command line prints it without a traceback."""


class ConfigError(SoftRLError, ValueError):
    """A setting has an unknown name, a wrong type or a value out of its range."""


class CheckpointError(SoftRLError):
    """A run on disk is damaged, foreign or cannot be written."""


class DivergedError(SoftRLError):
    """Every member of a run stopped learning because its numbers became non-finite."""


class RenderError(SoftRLError):
    """A picture or film cannot be made on this machine or of these states; training needs none of them."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the known name nearest to `name`, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
