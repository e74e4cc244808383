"""What a sweep is: a base config, axes, seeds and perhaps a search, in TOML or as the same words in Python.

    seeds = 3                               # 0, 1, 2; or a list

    [base]                                  # any setting of `softrl train`, by its flat name
    env = "probe/bounded-lq"
    preset = "tuned"
    steps = 16_384

    [axes]
    temperature = [0.05, 0.2, 0.8]          # a list
    critic_lr = { log = [1e-4, 1e-2], n = 5 }                        # or linear
    policy_lr = { log_uniform = [1e-4, 1e-2], n = 5, seed = 0 }      # or uniform
    width = [64, 256]

    [search]                                # optional: halving, pbt or optuna
    method = "halving"

Lists and even grids are crossed with each other, with the seeds and with the random sample: all drawn axes have the
same `n` and make one sample of n rows, as random search does.
"""

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softrl.config import exclusive, flat, is_number, is_whole, python
from softrl.errors import ConfigError, require_known
from softrl.presets import preset
from softrl.sweep import search as searches
from softrl.sweep.axes import Axis, axis
from softrl.training.config import Config

WORDS = ("seeds", "base", "axes", "search")


@dataclass(frozen=True)
class Spec:
    """A sweep, checked. base: flat settings without env and preset. config: the base itself."""

    env: str
    preset: str
    base: Mapping[str, Any]
    axes: tuple[Axis, ...]
    seeds: tuple[int, ...]
    search: searches.Search | None
    config: Config

    def config_of(self, static: Mapping[str, Any]) -> Config:
        """The config of the group with these values on the static axes; a robot and an algorithm start from their own
        preset."""
        changes = {**self.base, **{name: value for name, value in static.items() if name != "env"}}
        return preset(static.get("env", self.env), name=self.preset, **changes)


def load(source: str | Path | Mapping[str, Any] | Spec) -> Spec:
    """The sweep that a TOML file, or a mapping of the same form, describes.

    Raises: ConfigError saying what was given, what was expected and what to do, before anything is allocated.
    """
    if isinstance(source, Spec):
        return source
    words = python(source if isinstance(source, Mapping) else _read(Path(source)))
    for word in words:
        require_known("word of a sweep", word, WORDS)
    base = _table(words, "base")
    env, name = base.pop("env", None), base.pop("preset", "tuned")
    axes_forms = _table(words, "axes")
    first = _first_env(env, axes_forms)
    _refuse_contradictions({"env": env, **base} if env else base, axes_forms)
    leading = {"algorithm": listed[0]} if isinstance(listed := axes_forms.get("algorithm"), list) and listed else {}
    config = preset(first, name=name, **leading, **base)
    base |= {field: value for field, value in flat(config).items() if is_number(base.get(field))}  # 1e5 for a count
    for one, other in exclusive(config.hypers).items():
        if {one, other} <= base.keys() | axes_forms.keys():
            raise ConfigError(f"{other} and {one} set the same thing: keep one of the two")
    search = searches.search(words.get("search"))
    sampled = isinstance(search, searches.Optuna)
    axes = tuple(axis(field, form, config, sampled=sampled) for field, form in axes_forms.items())
    _refuse_unequal_samples(axes)
    seeds = _seeds(words.get("seeds", 1))
    if search is not None:
        _check_search(search, axes, seeds, config)
    return Spec(first, name, base, axes, seeds, search, config)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin a file with a mark
    except FileNotFoundError:
        raise ConfigError(f"there is no sweep spec {path}; see README.md for one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None


def _table(words: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = words.get(name, {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"[{name}] must be a table of settings, got {table!r}")
    return dict(table)


def _first_env(env: Any, axes: Mapping[str, Any]) -> str:
    if env is None:
        listed = axes.get("env")
        env = listed[0] if isinstance(listed, (list, tuple)) and listed else "brax/halfcheetah"
    if not isinstance(env, str):
        raise ConfigError(f"env must be text, as `softrl envs` lists them, got {env!r}")
    return env


def _refuse_contradictions(base: Mapping[str, Any], axes: Mapping[str, Any]) -> None:
    for name in ("seed", "seeds", "search", "axes"):
        if name in base:
            raise ConfigError(f"{name} does not belong in [base]: write it at the top of the file, before [base]")
    if both := [name for name in axes if name in base]:
        raise ConfigError(f"{', '.join(both)} stands in [base] and in [axes]: keep one of the two")


def _refuse_unequal_samples(axes: tuple[Axis, ...]) -> None:
    counts = {axis.name: len(axis.values) for axis in axes if axis.drawn}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ConfigError(f"drawn axes make one random sample, so their n must be equal; got {listed}")


def _seeds(given: Any) -> tuple[int, ...]:
    seeds = range(given) if is_whole(given) else given
    if not isinstance(seeds, (list, tuple, range)) or not all(is_whole(x) and 0 <= x < 2**31 for x in seeds):
        raise ConfigError(f"seeds must be a number of seeds or a list of whole numbers in [0, 2³¹), got {given!r}")
    if not seeds:
        raise ConfigError(f"seeds is empty, got {given!r}: give at least one")
    if repeated := sorted(seed for seed, count in Counter(seeds).items() if count > 1):
        raise ConfigError(f"seeds holds {', '.join(map(str, repeated))} twice: every seed once")
    return tuple(seeds)


def _check_search(search: searches.Search, axes: tuple[Axis, ...], seeds: tuple[int, ...], config: Config) -> None:
    method = searches.method(search)
    traced = [axis for axis in axes if not axis.static]
    if not traced:
        raise ConfigError(f"search {method} needs an axis to search: a traced one, such as gamma")
    if method != "optuna" and len(seeds) > 1:
        raise ConfigError(f"search {method} compares members with one another: give one seed, got {len(seeds)}")
    if isinstance(search, searches.Pbt):
        for one in traced:
            if one.name in (instead := exclusive(config.hypers)):
                raise ConfigError(f"pbt cannot perturb {one.name}: search {instead[one.name]} instead")
            if any(not isinstance(value, (int, float)) for value in one.values):
                raise ConfigError(f"pbt cannot perturb {one.name}: its values must be numbers, got {one.values!r}")
