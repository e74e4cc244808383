"""`softrl serve` from its parsed options to its exit code."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import jax

from softrl.config import checked
from softrl.errors import ConfigError
from softrl.learner import Learner, LearnerConfig
from softrl.serve import server
from softrl.serve.access import access
from softrl.serve.server import ServeConfig
from softrl.training import signals
from softrl.types import Continuous, Discrete

_ENTRY = re.compile(r"(?:([A-Za-z_][A-Za-z0-9_]*)=)?([0-9]+(?:x[0-9]+)*)", re.ASCII)

_NUMBER = r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e-?[0-9]+)?"
_PAIR = f"{_NUMBER}:{_NUMBER}"
_ACTION = re.compile(rf"discrete=(?P<n>[0-9]+)|(?P<size>[0-9]+)(?:@(?P<bounds>{_PAIR}(?:,{_PAIR})*))?", re.ASCII)


def serve(options: Any, config: ServeConfig, learner_config: LearnerConfig) -> int:
    """Serves until SIGTERM or SIGINT, then saves. Returns: 0. Args: `options`: `softrl.cli_serve.ServeOptions`.

    Raises: ConfigError, before anything is compiled. CheckpointError, DivergedError.
    """
    checked(config)
    checked_access = access(options.address, options.token_file, options.tls_cert, options.tls_key)
    obs, actions, directory = obs_spec(options.obs), action_spec(options.actions), Path(options.out)
    about = {"replay_capacity": options.replay_capacity, "seed": options.seed, "dir": directory}
    say = partial(print, flush=True)
    with signals.graceful() as request, Learner(learner_config, obs, actions, **about) as learner:
        if request.requested is not None:
            return 0
        with server.running(learner, directory, checked_access, config) as running:
            shared = running.shared
            journaled = f", {shared.replayed:,} of them from the journal" if shared.replayed else ""
            say(f"version {shared.version:,} with {shared.stored:,} transitions{journaled}")
            if running.metrics_port is not None:
                say(f"metrics at http://127.0.0.1:{running.metrics_port}/metrics")
            say(f"listening on {running.address}")
            server.learn(running, request, note=say)
        say(f"saved version {shared.version:,} with {shared.stored:,} transitions; the same command goes on")
    return 0


def action_spec(text: str) -> Continuous | Discrete:
    """`6` as so many numbers in [−1, 1], `6@-2:2` as so many from −2 to 2, `2@-2:2,0:1` with bounds for each,
    `discrete=4` as one of so many.

    Raises: ConfigError for anything else.
    """
    entry = _ACTION.fullmatch(text.strip())
    choices, size, bounds = (entry["n"], int(entry["size"] or 0), entry["bounds"]) if entry else (None, 0, None)
    pairs = [tuple(map(float, pair.split(":"))) for pair in bounds.split(",")] if bounds else []
    if entry is None or (size < 1 if choices is None else int(choices) < 2) or len(pairs) not in (0, 1, size):
        raise ConfigError(
            "actions must be A ≥ 1 numbers, like 6, or with bounds, 6@-2:2 or 2@-2:2,0:1, or one of n ≥ 2, like "
            f"discrete=4; got {text!r}"
        )
    if choices is not None:
        return Discrete(int(choices))
    each = pairs * size if len(pairs) == 1 else pairs
    return Continuous(size, *zip(*each, strict=True)) if each else Continuous(size)


def obs_spec(text: str) -> Any:
    """`17` or `3x4` as one shape, `state=17,privileged_state=23` as a dictionary of them, float32.

    Raises: ConfigError for anything else.
    """
    entries = [_ENTRY.fullmatch(part.strip()) for part in text.split(",")]
    names = [entry[1] for entry in entries if entry]
    bare = names == [None]
    if len(names) < len(entries) or (not bare and (None in names or len(set(names)) < len(names))):
        raise ConfigError(f"obs must be a shape like 17 or 3x4, or state=17,privileged_state=23; got {text!r}")
    shapes = [tuple(map(int, entry[2].split("x"))) for entry in entries if entry]
    described = [jax.ShapeDtypeStruct(shape, "float32") for shape in shapes]
    return described[0] if bare else dict(zip(names, described, strict=True))
