"""Callbacks by their shape: functions, objects with `on_step` such as Stable-Baselines3's, and lists of them."""

from collections.abc import Callable, Sequence
from typing import Any

from softrl.errors import ConfigError

Callback = Callable[[dict[str, Any], dict[str, Any]], bool | None] | Any | Sequence[Any] | None
"""`callback(locals, globals)`, or an object that has `on_step()` and any other method of `BaseCallback`; False ends
`learn`, None does not. `locals["self"]` is the model."""


class _Function:
    """A function in the shape of an object."""

    def __init__(self, function: Callable[[dict[str, Any], dict[str, Any]], bool | None]):
        self.function = function

    def on_training_start(self, local: dict[str, Any], everywhere: dict[str, Any]) -> None:
        self.scope = (local, everywhere)

    def on_step(self) -> bool | None:
        return self.function(*self.scope)


def listed(callback: Callback) -> list[Any]:
    """The objects in what `learn` was given. Raises: ConfigError for something else."""
    if isinstance(callback, list | tuple):
        return [one for part in callback for one in listed(part)]
    if hasattr(callback, "on_step"):
        return [callback]
    if callback is not None and not callable(callback):
        raise ConfigError(f"callback must be a function, an object with on_step, or a list of these, got {callback!r}")
    return [_Function(callback)] if callback else []


def call(callbacks: Sequence[Any], name: str, *arguments: Any) -> bool:
    """Calls a method of all that have it. Returns: whether learning goes on: nobody said False."""
    answers = [getattr(callback, name)(*arguments) for callback in callbacks if hasattr(callback, name)]
    return all(answer is None or bool(answer) for answer in answers)
