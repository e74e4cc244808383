"""From the parts of a config to one flat command line: every field is a flag, whichever part it lives in."""

from collections.abc import Mapping, Sequence
from dataclasses import field, fields, is_dataclass, make_dataclass
from typing import Annotated, Any

import tyro

from softrl.agents import ALGORITHMS
from softrl.config import former
from softrl.errors import ConfigError

_HELP = {"algorithm": f"Learn by this algorithm, one of {', '.join(ALGORITHMS)}; the other flags are its own."}


def parsed(
    config: Any, options: Mapping[str, Any], argv: Sequence[str], *, prog: str, description: str
) -> tuple[Any, ...]:
    """The config and the options that a command line asks for; what it leaves out stays as given.

    Args: `config`: a dataclass with an `algorithm`, whose parts may be any dataclasses; `options`: by title
    more dataclasses, or classes of which every field without a default must be given.
    Returns: `(config, *options)`.
    Raises: ConfigError for a flag that older versions had.
    """
    _refuse_former(config, argv)
    parts = {**options} | {part.name: getattr(config, part.name) for part in fields(config)}
    kinds = [
        (name, part) if isinstance(part, type) else (name, _kind(name, part), field(default=part))
        for name, part in parts.items()
    ]
    given = tyro.cli(
        make_dataclass("Flags", kinds, frozen=True),
        args=argv,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
        prog=prog,
        description=description,
    )
    new = type(config)(**{part.name: getattr(given, part.name) for part in fields(config)})
    return new, *(getattr(given, name) for name in options)


def _refuse_former(config: Any, argv: Sequence[str]) -> None:
    was = former(config)
    for flag in (word.split("=")[0] for word in argv if word.startswith("--")):
        name = flag.removeprefix("--").removeprefix("no-").replace("-", "_")
        if name in was:
            raise ConfigError(f"unknown setting {flag}; did you mean --{was[name].replace('_', '-')}? --help lists all")


def _kind(name: str, part: Any) -> Any:
    return type(part) if is_dataclass(part) else Annotated[type(part), tyro.conf.arg(help=_HELP[name])]


def peeked(argv: Sequence[str], flag: str) -> str | None:
    """The value of a flag, before the whole line can be parsed: it decides what the other flags are."""
    for i, word in enumerate(argv):
        if word == flag and i + 1 < len(argv):
            return argv[i + 1]
        if word.startswith(flag + "="):
            return word.split("=", 1)[1]
    return None
