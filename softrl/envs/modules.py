"""Modules of users' own by name, the current directory included."""

import importlib
import os
import sys
from types import ModuleType
from typing import Any

from softrl.errors import ConfigError, suggestion


def imported(name: str) -> ModuleType:
    """A module; what is not found elsewhere is looked for in the current directory.

    Raises: ConfigError where there is none. Errors inside of it are its own, with their traceback.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        _require_missing(name, error)
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
        importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        _require_missing(name, error)
        raise ConfigError(
            f"there is no module {name!r}, neither installed nor in {here}: go to its directory, or install it"
        ) from None


def _require_missing(name: str, error: ModuleNotFoundError) -> None:
    """Goes on where it is the module itself, or a package around it, that is missing."""
    if error.name is None or not f"{name}.".startswith(f"{error.name}."):
        raise ConfigError(f"module {name!r} cannot be imported: {error}") from None


def attribute(path: str) -> Any:
    """What `package.module:name` stands for.

    Raises: ConfigError where there is no such module, or nothing of that name in it.
    """
    module, _, names = path.partition(":")
    found: Any = imported(module)
    for name in names.split("."):
        if not hasattr(found, name):
            known = [known for known in dir(found) if not known.startswith("_")]
            raise ConfigError(f"there is no {name!r} in module {module!r}{suggestion(name, known)}")
        found = getattr(found, name)
    return found
