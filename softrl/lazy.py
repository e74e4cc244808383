"""Packages whose names are imported when they are first used."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from softrl.errors import suggestion


def exported(package: str, public: Mapping[str, tuple[str, ...]]) -> tuple[Callable[[str], Any], list[str]]:
    """`__getattr__` and `__all__` of a package. Args: `public`: what it offers, by module (".x" for one in it)."""
    home = {name: module for module, names in public.items() for name in names}

    def get(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}{suggestion(name, home)}")
        return getattr(importlib.import_module(home[name], package), name)

    return get, list(home)
