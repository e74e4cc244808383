"""Axes: which field of a config a sweep varies, and over which values."""

import math
import random
from collections.abc import Mapping
from typing import Any, NamedTuple

from softrl.config import change, flat, former, is_number, is_whole
from softrl.errors import ConfigError, suggestion
from softrl.training.config import Config

EVEN = ("linear", "log")
DRAWN = ("uniform", "log_uniform")
FORMS = "a list of values, or { linear | log | uniform | log_uniform = [low, high], n = COUNT }"

NOT_SWEEPABLE: Mapping[str, str] = {
    "seed": "seeds have a place of their own: write seeds = [0, 1, 2], or seeds = 3, beside [axes]",
    "seeds": "seeds have a place of their own: write seeds = [0, 1, 2], or seeds = 3, beside [axes]",
    "steps": "a longer run's curve holds the shorter one's: set steps in [base]",
    "eval_every": "it says how often to evaluate, not what is learned: set it in [base]",
    "eval_episodes": "members that are judged by different episodes cannot be compared: set it in [base]",
    "chunk_steps": "it says where a program is cut, not what is learned: set it in [base]",
    "data_shards": "it says where a program runs, not what is learned: set it in [base]",
    "member_map": "it says how members share a program, not what is learned: set it in [base]",
}
"""Fields that are no axis, and why."""


class Axis(NamedTuple):
    """One varied field.

    name: flat name of a config's field. kind: `list`, one of `EVEN` or one of `DRAWN`. values: all of them, in order.
    static: a new value is a new program; otherwise it is a traced number. low, high: range of a kind that has one.
    """

    name: str
    kind: str
    values: tuple[Any, ...]
    static: bool
    low: float | None = None
    high: float | None = None

    @property
    def drawn(self) -> bool:
        """Whether the values are random: all drawn axes of a sweep make one random sample, row by row."""
        return self.kind in DRAWN


def axis(name: str, form: Any, config: Config, *, sampled: bool = False) -> Axis:
    """The axis that a spec describes; see `FORMS`.

    Args: `config`: one that has the field; only its fields' types and ranges are used. `sampled`: a sampler will
    propose the values of drawn kinds, which then have no `n` and no values of their own.
    Raises: ConfigError for an unknown field, one that cannot be swept and why, an empty or repeating axis, or a value
    out of its range.
    """
    known = flat(config)
    if name not in known:
        near = suggestion(name, known, former(config))
        raise ConfigError(f"unknown axis {name!r}{near}; `softrl train --help` lists all settings")
    if name in NOT_SWEEPABLE:
        raise ConfigError(f"{name} cannot be an axis: {NOT_SWEEPABLE[name]}")
    static = name not in flat(config.traced)
    listed = isinstance(form, (list, tuple))
    if listed and not form:
        raise ConfigError(f"axis {name} is empty: give at least one value")
    new = Axis(name, "list", tuple(form), static) if listed else _ranged(name, form, static, sampled)
    if name not in ("env", "algorithm"):  # registries know these, and say so when a group's preset is made
        held = [change(config, **{name: value}) for value in (new.values if listed else (new.low, new.high))]
        if listed and all(map(is_number, new.values)):  # 1e5 for a count is 100000
            new = new._replace(values=tuple(flat(one)[name] for one in held))
    keys = [(value, isinstance(value, bool)) for value in new.values]  # 1 is 1.0 and not true
    for i, key in enumerate(keys):
        if not new.drawn and key in keys[:i]:  # two equal draws are an accident, and both count
            raise ConfigError(f"axis {name} holds {key[0]!r} twice: every value once")
    return new


def _ranged(name: str, form: Any, static: bool, sampled: bool) -> Axis:
    kinds = [kind for kind in (*EVEN, *DRAWN) if isinstance(form, Mapping) and kind in form]
    if len(kinds) != 1:
        raise ConfigError(f"axis {name} must be {FORMS}; got {form!r}")
    kind = kinds[0]
    drawn = kind in DRAWN
    proposed = drawn and sampled
    allowed = [kind] if proposed else [kind, "n", "seed"] if drawn else [kind, "n"]
    for word in form:
        if word not in allowed:
            raise ConfigError(f"axis {name}: unknown word {word!r}{suggestion(word, allowed)}; give {FORMS}")
    if static:
        raise ConfigError(f"axis {name} shapes the compiled program, so it takes a list of values, not {kind}")
    low, high = _bounds(name, kind, form[kind])
    if proposed:
        return Axis(name, kind, (), static, low, high)
    count, seed = form.get("n"), form.get("seed", 0)
    if not is_whole(count) or count < 1:
        raise ConfigError(f"axis {name}: n must be a whole number of values, at least 1, got {count!r}")
    if not is_whole(seed):
        raise ConfigError(f"axis {name}: seed must be a whole number, got {seed!r}")
    dice = random.Random(f"{seed}/{name}")  # Python's own: its stream for a seed that is text is promised for ever
    shares = [dice.random() if drawn else i / max(count - 1, 1) for i in range(count)]
    return Axis(name, kind, tuple(_between(low, high, share, kind) for share in shares), static, low, high)


def _bounds(name: str, kind: str, given: Any) -> tuple[float, float]:
    pair = isinstance(given, (list, tuple)) and len(given) == 2 and all(map(is_number, given))
    if not pair or not -math.inf < given[0] < given[1] < math.inf:
        raise ConfigError(f"axis {name}: {kind} must be [low, high] with low < high, two finite numbers; got {given!r}")
    if kind in ("log", "log_uniform") and given[0] <= 0:
        raise ConfigError(f"axis {name}: {kind} needs low > 0, got {given[0]!r}")
    return float(given[0]), float(given[1])


def _between(low: float, high: float, share: float, kind: str) -> float:
    """The value at a share of the way, to six digits, so that it can be read, typed and compared."""
    if kind.startswith("log"):
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        value = low + share * (high - low)
    return min(max(float(f"{value:.6g}"), low), high)
