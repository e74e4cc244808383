"""Others' numbers, from a TOML file in which every column says where it is from.

[[column]]
algorithm = "SAC"
source = "github.com/OWNER/NAME@COMMIT, FILE; arXiv:NUMBER"
seeds = 10
environments = "version 4"         # of the tasks
returns = "deterministic"          # or sampled, training, …
comparable = false                 # with softrl's on these tasks; where not, reason says why
reason = "version 4 of the robots"
numbers = [{ task = "gym/Hopper-v5", steps = 100_000, mean = 1103, spread = 368 }]    # spread may be left out
"""

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from softrl.config import is_number
from softrl.errors import ConfigError, require_known

NEEDED = {"algorithm": str, "source": str, "seeds": int, "environments": str, "returns": str, "comparable": bool}
NUMBER = ("task", "steps", "mean", "spread")


class Number(NamedTuple):
    """mean over seeds, and spread over them where it was given, at so many environment steps of a task."""

    task: str
    steps: int
    mean: float
    spread: float | None = None


class Column(NamedTuple):
    """One algorithm's published numbers; see the head of this file."""

    algorithm: str
    source: str
    seeds: int
    environments: str
    returns: str
    comparable: bool
    reason: str
    numbers: tuple[Number, ...]

    def at(self, task: str, steps: float) -> Number | None:
        """The number of a task at these steps, within 1 %: evaluations of others fall beside round numbers."""
        near = [one for one in self.numbers if one.task == task and abs(one.steps - steps) <= 0.01 * steps]
        return min(near, key=lambda one: abs(one.steps - steps), default=None)


def read(path: str | Path) -> list[Column]:
    """The columns of a file.

    Raises: ConfigError: it cannot be read, or a column lacks something; without its source no number is taken.
    """
    try:
        words = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror or error}; give a TOML file of others' numbers"
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    return [_column(column, path) for column in words.get("column", [])]


def _column(words: dict[str, Any], path: str | Path) -> Column:
    name = words.get("algorithm", "without a name")
    for word in words:
        require_known(f"word of {path}", word, (*NEEDED, "reason", "numbers"))
    for word, kind in NEEDED.items():
        if not isinstance(words.get(word), kind) or words[word] == "":
            raise ConfigError(f"{path}: column {name} has no {word}: give it, as {kind.__name__}")
    if not words["comparable"] and not words.get("reason"):
        raise ConfigError(f"{path}: column {name} is not comparable: give the reason")
    numbers = tuple(_number(number, name, path) for number in words.get("numbers", []))
    return Column(**{word: words[word] for word in NEEDED}, reason=words.get("reason", ""), numbers=numbers)


def _number(words: dict[str, Any], name: str, path: str | Path) -> Number:
    for word in words:
        require_known(f"word of a number in {path}", word, NUMBER)
    fits = isinstance(words.get("task"), str) and all(is_number(words.get(word)) for word in ("steps", "mean"))
    if not fits or not is_number(words.get("spread", 0)):
        raise ConfigError(f"{path}: column {name}: a number is a task, steps, mean and perhaps spread, got {words}")
    return Number(**words)
