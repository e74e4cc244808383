"""Modules of users' own by name, the current directory included."""

import importlib
import os
import sys
from types import ModuleType
from typing import Any

from softrl.errors import ConfigError, suggestion


def imported(name: str) -> ModuleType:
    """A module; the current directory is searched last.

    Raises: ConfigError where there is none. Other errors inside of it are its own, with their traceback.
    """
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(f"module {name!r} cannot be imported: {error}") from None
        raise ConfigError(
            f"there is no module {name!r}, neither installed nor in {here}: go to its directory, or install it"
        ) from None


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
