"""The whole description of a run: which robots, which agent, how long, how often to look."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from softrl.agents.sac import SACConfig, SACHypers
from softrl.config import Within, checked
from softrl.envs import EnvConfig
from softrl.errors import ConfigError


@dataclass(frozen=True)
class TrainingConfig:
    """How a run is run. Everything but `steps` is part of its identity."""

    steps: Annotated[int, Within(1)] = 1_000_000
    """Environment steps of each member, rounded up to whole chunks. May grow when a run is resumed."""
    seed: Annotated[int, Within(0, 2**31, below=True)] = 0
    """Seed of the first member."""
    seeds: Annotated[int, Within(1)] = 1
    """Members: independent runs with seeds `seed`, `seed` + 1, … in one compiled program."""
    updates_per_step: Annotated[int, Within(1)] = 8
    """Gradient updates for each vector step (one step of all environments)."""
    batch_size: Annotated[int, Within(1)] = 256
    """Transitions in a gradient update, B."""
    replay_size: Annotated[int, Within(1)] = 1_000_000
    """Transitions that replay keeps, rounded up to whole rows of N environments."""
    replay_shards: Annotated[int, Within(1)] = 1
    """Batches are stratified over this many slices of the environments, so that draws do not depend on devices."""
    n_step: Annotated[int, Within(1)] = 1
    """Longest window of rewards in a critic's target; it ends early where an episode does."""
    learning_starts: Annotated[int, Within(0)] = 2_000
    """Environment steps of uniformly random actions before the first update."""
    eval_every: Annotated[int, Within(1)] = 65_536
    """Environment steps between evaluations, rounded up to whole chunks."""
    eval_episodes: Annotated[int, Within(1)] = 128
    """Episodes of an evaluation, deterministic ones and as many stochastic ones, always from the same seeds."""
    chunk_steps: Annotated[int, Within(1)] = 128
    """Vector steps of one compiled call; a signal waits for its end."""
    data_shards: Annotated[int, Within(1)] = 1
    """Devices that one member's environments, replay and batches are spread over."""
    train_freq: Annotated[int, Within(1)] = 1
    """Environments on the host: vector steps handed to the device at once, with all the updates they are owed."""
    overlap: bool = True
    """Environments on the host: step them while the device learns, by a policy one call older; false waits."""
    member_map: Literal["auto", "vmap", "sequential"] = "auto"
    """How members share a program: vmap on accelerators; on a CPU threads, one a core, go through them in turn."""


@dataclass(frozen=True)
class Config:
    """A run. `softrl.preset(env)` makes one with tuned defaults; `softrl.change(config, gamma=0.97)` edits it."""

    env: EnvConfig = field(default_factory=EnvConfig)
    agent: SACConfig = field(default_factory=SACConfig)
    hypers: SACHypers = field(default_factory=SACHypers)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    @property
    def chunk_transitions(self) -> int:
        """Environment steps of one chunk."""
        return self.training.chunk_steps * self.env.num_envs

    @property
    def chunks(self) -> int:
        """Chunks until `steps` are reached."""
        return -(-self.training.steps // self.chunk_transitions)

    @property
    def eval_chunks(self) -> int:
        """Chunks between evaluations."""
        return -(-self.training.eval_every // self.chunk_transitions)


def validated(config: Config) -> Config:
    """The same config, checked field by field and as a whole.

    Raises: ConfigError saying what was given, what was expected and what to do.
    """
    checked(config)
    training, num_envs = config.training, config.env.num_envs
    if training.batch_size > training.replay_size:
        raise ConfigError(
            f"batch_size {training.batch_size} is larger than replay_size {training.replay_size}: raise replay_size"
        )
    if (training.n_step + 1) * num_envs > max(training.replay_size, num_envs):
        raise ConfigError(
            f"replay_size {training.replay_size} holds fewer than n_step + 1 = {training.n_step + 1} rows of num_envs "
            f"{num_envs}: raise it to at least {(training.n_step + 1) * num_envs}"
        )
    if num_envs % training.replay_shards or training.batch_size % training.replay_shards:
        raise ConfigError(
            f"replay_shards {training.replay_shards} must divide num_envs {num_envs} and batch_size "
            f"{training.batch_size}"
        )
    if training.replay_shards % training.data_shards:
        raise ConfigError(
            f"data_shards {training.data_shards} must divide replay_shards {training.replay_shards}: each device "
            "samples its own slices"
        )
    if config.agent.log_std_min >= config.agent.log_std_max:
        raise ConfigError(
            f"log_std_min {config.agent.log_std_min:g} must be below log_std_max {config.agent.log_std_max:g}"
        )
    return config
