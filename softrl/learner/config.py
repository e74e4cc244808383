"""What can be set about a learner that others feed."""

from dataclasses import dataclass, field
from typing import Annotated

from softrl.agents.sac import SACConfig, SACHypers
from softrl.config import Within, checked
from softrl.errors import ConfigError


@dataclass(frozen=True)
class SamplingConfig:
    """How batches are drawn from what was pushed. Static."""

    batch_size: Annotated[int, Within(1)] = 256
    """Transitions in a gradient update, B."""
    learning_starts: Annotated[int, Within(0)] = 1_000
    """Transitions (demonstrations included) before the first update; until then sampled actions are uniform."""
    demonstration_share: Annotated[float, Within(0.0, 1.0)] = 0.0
    """Share of each batch from demonstrations, as in RLPD and HIL-SERL (½ there); 0: there is no second buffer."""
    demonstration_capacity: Annotated[int, Within(1, 2**30)] = 100_000
    """Demonstrations kept, where there are any."""
    priority_exponent: Annotated[float, Within(0.0, 2.0)] = 0.0
    """Prioritised replay: rows are drawn in proportion to (|TD error| + 10⁻³)ᵃ; 0 is off, 0.6 the publication's."""
    importance_exponent: Annotated[float, Within(0.0, 1.0)] = 0.4
    """Correction for it: rows weigh (C P(row))⁻ᵇ."""


@dataclass(frozen=True)
class LearnerConfig:
    """A learner. `softrl.change(softrl.LearnerConfig(), width=512, gamma=0.98)` edits it by plain names."""

    agent: SACConfig = field(default_factory=SACConfig)
    hypers: SACHypers = field(default_factory=SACHypers)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)

    @property
    def demonstration_rows(self) -> int:
        """Rows of a batch that are demonstrations."""
        return round(self.sampling.batch_size * self.sampling.demonstration_share)


def validated(config: LearnerConfig, replay_capacity: int) -> LearnerConfig:
    """The same config, checked field by field and as a whole.

    Raises: ConfigError saying what was given, what was expected and what to do.
    """
    checked(config)
    batch = config.sampling.batch_size
    if isinstance(replay_capacity, bool) or not isinstance(replay_capacity, int):
        raise ConfigError(f"replay_capacity must be a whole number of transitions, got {replay_capacity!r}")
    if not batch <= replay_capacity <= 2**30:
        raise ConfigError(f"replay_capacity must be from batch_size {batch} to 2³⁰, got {replay_capacity}")
    if config.agent.log_std_min >= config.agent.log_std_max:
        raise ConfigError(
            f"log_std_min {config.agent.log_std_min:g} must be below log_std_max {config.agent.log_std_max:g}"
        )
    return config
