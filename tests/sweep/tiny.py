"""Sweeps so small that they train in seconds."""

from typing import Any

from softrl.config import to_json
from softrl.storage import durable
from softrl.sweep import batch
from tests import tiny

BASE = {name: value for name, value in tiny.SIZES.items() if name not in ("seed", "seeds")}


def spec(axes: dict[str, Any], seeds: Any = 1, search: dict[str, Any] | None = None, **base: Any) -> dict[str, Any]:
    """A tiny sweep of the bounded linear-quadratic probe, in the words of a TOML file."""
    words = {"seeds": seeds, "base": {**BASE, "steps": 512, **base}, "axes": axes}
    for name in axes:
        words["base"].pop(name, None)
    return words if search is None else {**words, "search": search}


def toml(words: dict[str, Any]) -> str:
    """The file that says the same."""
    text = f"seeds = {words['seeds']}\n"
    for table in ("base", "axes", "search"):
        if table in words:
            text += f"[{table}]\n" + "".join(f"{name} = {_value(value)}\n" for name, value in words[table].items())
    return text


_READY: dict[str, batch.Ready] = {}
_PREPARE = batch.prepare


def prepare(config, ready=None) -> batch.Ready:
    """`batch.prepare`, which this process does once for every program."""
    key = durable.encode(to_json(batch.of_program(config)))
    if key not in _READY:
        _READY[key] = _PREPARE(config)
    return _READY[key]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_value(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else repr(value)
