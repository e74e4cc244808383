"""What can be set about a learner that others feed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from softrl.agents import algorithm
from softrl.config import Within, checked, from_json
from softrl.errors import ConfigError
from softrl.replay import ReplayHypers
from softrl.training.config import with_parts, with_types
from softrl.types import Hypers


@dataclass(frozen=True)
class SamplingConfig:
    """How batches are drawn from what was pushed. Static."""

    batch_size: Annotated[int, Within(1)] = 256
    """Each gradient update uses this many transitions, B."""
    learning_starts: Annotated[int, Within(0)] = 1_000
    """Wait for this many transitions, demonstrations included, before the first update; until then explore."""
    demonstration_share: Annotated[float, Within(0.0, 1.0)] = 0.0
    """Take this share of each batch from demonstrations (½ in RLPD and HIL-SERL); with 0 there is no second buffer."""
    demonstration_capacity: Annotated[int, Within(1, 2**30)] = 100_000
    """The second buffer keeps this many demonstrations."""
    priority_exponent: Annotated[float, Within(0.0, 2.0)] = 0.0
    """Draw rows in proportion to (|TD error| + 10⁻³)ᵃ with this a; 0 draws uniformly, and 0.6 is the publication's."""
    importance_exponent: Annotated[float, Within(0.0, 1.0)] = 0.4
    """Correct for priorities by weighing rows by (C P(row))⁻ᵇ with this b."""


@dataclass(frozen=True)
class LearnerConfig:
    """A learner. `softrl.change(softrl.LearnerConfig(), width=512, gamma=0.98)` edits it by plain names."""

    algorithm: str = "sac"
    """This algorithm learns, one of `softrl.agents.ALGORITHMS` that learn from single transitions."""
    agent: Any = None
    """The algorithm has these static fields; None means its defaults."""
    hypers: Any = None
    """The algorithm has these traced numbers; None means its defaults."""
    replay: ReplayHypers = field(default_factory=ReplayHypers)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    def __post_init__(self):
        with_parts(self)

    @property
    def traced(self) -> Hypers:
        """All numbers that a compiled program is given."""
        return Hypers(self.hypers, self.replay)

    @property
    def demonstration_rows(self) -> int:
        """Rows of a batch that are demonstrations."""
        return round(self.sampling.batch_size * self.sampling.demonstration_share)


def validated(config: LearnerConfig, replay_capacity: int) -> LearnerConfig:
    """The same config, checked field by field and as a whole.

    Raises: ConfigError saying what was given, what was expected and what to do.
    """
    checked(config)
    entry = algorithm(config.algorithm)
    if not entry.off_policy:
        raise ConfigError(
            f"algorithm {config.algorithm} learns from its own actions only, and a learner from what others did: use "
            "softrl.train, or another algorithm"
        )
    if needed := entry.needs(config.agent):
        raise ConfigError(
            f"algorithm {config.algorithm} needs {needed}, which a learner that others feed does not have: use "
            "softrl.train, or another algorithm"
        )
    entry.validate(config.agent, config.hypers)
    batch = config.sampling.batch_size
    if not batch <= replay_capacity <= 2**30:
        raise ConfigError(f"replay_capacity must be from batch_size {batch} to 2³⁰, got {replay_capacity}")
    return config


def read(data: Mapping[str, Any]) -> LearnerConfig:
    """The config that `softrl.config.to_json` wrote, by this version or an older one.

    Raises: ConfigError for a field or an algorithm that this version does not know.
    """
    return from_json(LearnerConfig, with_types(data))
