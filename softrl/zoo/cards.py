"""What the zoo holds: for each policy a file, `policies/NAME.safetensors`, and its card, `policies/NAME.json`.

Imports NumPy at most, and safetensors for the files, so that whoever acts needs no JAX.
"""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from softrl.errors import ConfigError, TensorError, library, require_known
from softrl.numpy_policy import NumpyPolicy, decode
from softrl.storage import durable

POLICIES = Path(__file__).parent / "policies"

PREFIX = "zoo/"
"""Begins a policy's name where a run's policy is asked for."""


class Card(NamedTuple):
    """Where a policy comes from, and what it earns.

    name: in the zoo. task: the environment. algorithm, preset: what trained it. changes: the settings in which the run
    differs from the preset as it was at `commit`. return_mean, return_std: undiscounted returns of the policy's mode,
    over `episodes` episodes of the set `seed`, as `softrl eval --seed` takes it; neither training nor the policy's
    choice saw these.
    steps, updates, seconds: of the whole training: environment steps, gradient updates, wall clock with compiling.
    best_steps, best_updates: behind the policy, the best-evaluated one of the run. dtype: of the weights in the file.
    sha256: of the policy file. device, commit, versions: of training. measured: versions where the return was measured.
    config, environment: as the run's config.json has them, enough to train it again.
    """

    name: str
    task: str
    algorithm: str
    preset: str
    changes: dict[str, Any]
    return_mean: float
    return_std: float
    episodes: int
    seed: int
    steps: int
    updates: int
    seconds: float
    best_steps: int
    best_updates: int
    device: str
    commit: str
    versions: dict[str, str]
    measured: dict[str, str]
    licence: str
    dtype: str
    sha256: str
    config: dict[str, Any]
    environment: dict[str, Any]

    @property
    def record(self) -> dict[str, Any]:
        """The evaluation that chose the policy, in the form of a line of metrics.jsonl, with the card's return."""
        returns, timing = {"return_mean": [self.return_mean], "return_std": [self.return_std]}, {"wall_s": self.seconds}
        return {"env_steps": self.best_steps, "updates": self.best_updates, "eval": returns, "timing": timing}


def names() -> tuple[str, ...]:
    """The policies of the zoo, sorted."""
    return tuple(sorted(path.relative_to(POLICIES).with_suffix("").as_posix() for path in POLICIES.rglob("*.json")))


def card(name: str) -> Card:
    """A policy's card. Raises: ConfigError for a name that is not in the zoo, with the nearest that is."""
    return Card(**durable.decode(_file(name, ".json").read_text()))


def load(name: str) -> NumpyPolicy:
    """A policy that acts by NumPy alone.

    Raises: ConfigError for a name that is not in the zoo, with the nearest that is, or where safetensors is missing.
      TensorError where the file is not the one that its card describes.
    """
    known = card(name)
    library("safetensors", "policies of the zoo need safetensors", "export")
    data = _file(name, ".safetensors").read_bytes()
    if (found := hashlib.sha256(data).hexdigest()) != known.sha256:
        raise TensorError(f"zoo/{name}: its card says sha256 {known.sha256}, the file has {found}: install softrl anew")
    return decode(data)


def shipped(place: str | Path) -> Card | None:
    """The card of the policy that `zoo/NAME` names; None where `place` is something else, a run's directory say.

    A directory of that name goes first. Raises: ConfigError for `zoo/` and a name that is not there.
    """
    word = Path(place).as_posix()
    return card(word.removeprefix(PREFIX)) if word.startswith(PREFIX) and not Path(place).exists() else None


def refuse(place: str | Path) -> None:
    """For what needs more of a run than its policy. Raises: ConfigError where `place` is a policy of the zoo."""
    if shipped(place) is not None:
        raise ConfigError(
            f"{place} is a policy with its card, and no run: it has no learner and no curve; what takes it is softrl "
            "eval, render, demonstrate and export"
        )


def _file(name: str, ending: str) -> Path:
    require_known("policy of the zoo", name, names())
    return POLICIES / f"{name}{ending}"
