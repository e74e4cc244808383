"""The mechanism of configuration: frozen dataclasses with documented, typed, ranged fields and flat, plain names.

Each package defines its own part (`EnvConfig`, `SACConfig`, `SACHypers`, …); here is only how parts are checked,
changed by name, written and read. Fields that shape the compiled program are static; a `Hypers` part is a pytree of
numbers that are traced, so that one program serves a whole sweep.
"""

import functools
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Annotated, Any, TypeVar

from softrl.errors import ConfigError, suggestion

T = TypeVar("T")


@dataclass(frozen=True)
class Within:
    """Range of a number: low ≤ x ≤ high; with `above` (`below`) the bound itself is out. Use in `Annotated`."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False

    def holds(self, x: float) -> bool:
        """Whether x is inside; NaN never is."""
        return (x > self.low if self.above else x >= self.low) and (x < self.high if self.below else x <= self.high)

    def __str__(self) -> str:
        left, right = "(" if self.above else "[", ")" if self.below else "]"
        low, high = (str(x) if isinstance(x, int) else f"{x:g}" for x in (self.low, self.high))
        return f"{left}{low}, {high}{right}"


Seed = Annotated[int, Within(0, 2**31, below=True)]
"""What every seed is."""


@dataclass(frozen=True)
class Instead:
    """Marks a field that is another way to give `field`: the two exclude each other. Use in `Annotated`."""

    field: str


@dataclass(frozen=True)
class Was:
    """Marks a field that older versions called `field`. values: theirs, each with today's. Use in `Annotated`."""

    field: str
    values: tuple[tuple[Any, Any], ...]

    def today(self, value: Any) -> Any:
        """What a value is called now."""
        return next((now for then, now in self.values if then == value), value)


def flat(config: Any) -> dict[str, Any]:
    """Every leaf field of a config and its parts, by plain name."""
    leaves = {}
    for field in fields(config):
        value = getattr(config, field.name)
        leaves |= flat(value) if is_dataclass(value) else {field.name: value}
    return leaves


def change(config: T, **flat_values: Any) -> T:
    """A copy with fields replaced by plain name, wherever in the parts they live, and checked.

    NumPy's numbers are taken as Python's, and whole numbers in floats (1e5) for counts.
    Raises: ConfigError naming an unknown field with the nearest known one, or a value that does not fit.
    Example: `change(config, gamma=0.97, num_envs=128)`.
    """
    if not is_dataclass(config) or isinstance(config, type):
        raise ConfigError(f"softrl.change takes a config, such as softrl.preset('brax/ant') gives; got {config!r}")
    known = _hints(config)
    for name in flat_values:
        if name not in known:
            near = suggestion(name, known, former(config))
            raise ConfigError(f"unknown setting {name!r}{near}; `softrl train --help` lists all")
    return checked(replaced(config, {name: _fitted(value, known[name]) for name, value in flat_values.items()}))


@functools.cache
def _declared(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _hints(config: Any) -> dict[str, Any]:
    """The declared type of every leaf field, by plain name."""
    hints, found = _declared(type(config)), {}
    for field in fields(config):
        value = getattr(config, field.name)
        found |= _hints(value) if is_dataclass(value) else {field.name: hints[field.name]}
    return found


def replaced(config: T, flat_values: Mapping[str, Any]) -> T:
    """As `change`, of values that need no check: the arrays that a program takes, say."""
    new = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            new[field.name] = replaced(value, flat_values)
        elif field.name in flat_values:
            new[field.name] = flat_values[field.name]
    return replace(config, **new)


def checked(config: T) -> T:
    """The same config, every field of it of its declared type and inside its range.

    Raises: ConfigError with field, value and what was expected.
    """
    hints = _declared(type(config))
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            checked(value)
        else:
            _check(field.name, value, hints[field.name])
    for one, other in exclusive(config).items():
        values = getattr(config, one), getattr(config, other)
        if None not in values:
            raise ConfigError(f"give {other} or {one}, not both; got {values[1]!r} and {values[0]!r}")
    return config


def exclusive(config: Any) -> dict[str, str]:
    """Fields that are another way to give a field -> that field, of one part of a config."""
    return {name: note.field for name, note in _notes(_declared(type(config)), Instead)}


def former(config: Any) -> dict[str, str]:
    """Names that fields had in older versions -> their names."""
    return {note.field: name for name, note in _notes(_hints(config), Was)}


def _notes(hints: Mapping[str, Any], kind: type[T]) -> list[tuple[str, T]]:
    """Marks of one kind in the types of fields, with the fields' names."""
    marked = ((name, note) for name, hint in hints.items() for note in getattr(hint, "__metadata__", ()))
    return [(name, note) for name, note in marked if isinstance(note, kind)]


def to_json(config: Any) -> dict[str, Any]:
    """Nested plain dictionaries; infinities as the strings `"inf"` and `"-inf"`, since JSON has none."""
    return {
        field.name: to_json(value) if is_dataclass(value := getattr(config, field.name)) else _plain(value)
        for field in fields(config)
    }


def from_json(kind: type[T], data: Mapping[str, Any]) -> T:
    """The config that `to_json` wrote; fields that had another name then are read as today's.

    Raises: ConfigError for a field that this version does not know.
    """
    hints = typing.get_type_hints(kind)
    values = {}
    for name, value in _today(_declared(kind), data).items():
        if name not in hints:
            raise ConfigError(
                f"{kind.__name__} has no field {name!r}{suggestion(name, hints)}; written by another version?"
            )
        hint = hints[name]
        read = is_dataclass(hint) and not is_dataclass(value)
        values[name] = from_json(hint, value) if read else _parsed(value, hint)
    return checked(kind(**values))


def today(config: Any, flat_values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by plain name, as an older version may have written them, by today's names."""
    return _today(_hints(config), flat_values)


def _today(hints: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    was = {note.field: (name, note) for name, note in _notes(hints, Was) if name not in values}
    found = {}
    for name, value in values.items():
        now, note = was.get(name, (name, None))
        found[now] = value if note is None else note.today(value)
    return found


def setting(name: str, value: Any, hint: Any) -> Any:
    """A value that is no field of a config, as `change` would take it. Args: `hint`: its type, `Seed` for example.

    Raises: ConfigError with the name, the value and what was expected.
    """
    value = _fitted(value, hint)
    _check(name, value, hint)
    return value


def python(value: Any) -> Any:
    """NumPy's numbers and arrays (a data frame's, JAX's) as Python's numbers and lists, inside of containers too."""
    if isinstance(value, Mapping):
        return {name: python(entry) for name, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(python, value))
    return value.tolist() if hasattr(value, "tolist") else value


def _fitted(value: Any, hint: Any) -> Any:
    value = python(value)
    count = isinstance(value, float) and value.is_integer() and not _fits(value, hint) and _fits(int(value), hint)
    return int(value) if count else value


def is_whole(value: Any) -> bool:
    """Whether it is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether it is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check(name: str, value: Any, hint: Any) -> None:
    bounds = Within()
    if typing.get_origin(hint) is typing.Annotated:
        hint, *notes = typing.get_args(hint)
        bounds = next((note for note in notes if isinstance(note, Within)), bounds)
    if not _fits(value, hint):
        raise ConfigError(f"{name} must be {_spelled(hint)}, got {value!r} ({type(value).__name__})")
    if is_number(value) and not bounds.holds(value):
        raise ConfigError(f"{name} must be in {bounds}, got {value!r}")


def _fits(value: Any, hint: Any) -> bool:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _fits(value, args[0])
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, arg) for arg in args)
    if origin is typing.Literal:
        return value in args
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, args[0]) for item in value)
    if hint is float:
        return is_number(value)
    if hint is int:
        return is_whole(value)
    return isinstance(value, hint)


def _spelled(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(repr, args))
    if origin in (typing.Union, types.UnionType):
        return " or ".join("None" if arg is type(None) else _spelled(arg) for arg in args)
    if origin is tuple:
        return f"a tuple of {_spelled(args[0])}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(hint, str(hint))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isinf(value):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _parsed(value: Any, hint: Any) -> Any:
    if value in ("inf", "-inf") and not _fits(value, hint):
        return float(value)
    return tuple(value) if isinstance(value, list) else value
