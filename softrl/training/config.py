"""The whole description of a run: which robots, which agent, how long, how often to evaluate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from softrl.agents import algorithm
from softrl.algorithm import Algorithm
from softrl.config import Seed, Within, checked, flat, from_json
from softrl.envs import EnvConfig
from softrl.errors import ConfigError
from softrl.replay import ReplayHypers
from softrl.types import Hypers


@dataclass(frozen=True)
class TrainingConfig:
    """How a run is run. Everything but `steps` is part of its identity."""

    steps: Annotated[int, Within(1)] = 1_000_000
    """Train each member for this many environment steps, rounded up to whole chunks; a resumed run may get more."""
    schedule_steps: Annotated[int | None, Within(1)] = None
    """Rates and updates that fall are at their ends after this many environment steps; by default at `steps`."""
    seed: Seed = 0
    """The first member has this seed."""
    seeds: Annotated[int, Within(1)] = 1
    """Train this many members, independent runs with seeds `seed`, `seed` + 1, …, in one compiled program."""
    updates_per_step: Annotated[int, Within(1)] = 8
    """Make this many gradient updates for each vector step (one step of all environments)."""
    updates_per_step_end: Annotated[int, Within(0)] = 0
    """Let the updates of a vector step fall along half a cosine to this many; 0 leaves them as they are."""
    batch_size: Annotated[int, Within(1)] = 256
    """Each gradient update uses this many transitions, B."""
    replay_size: Annotated[int, Within(1)] = 1_000_000
    """Replay keeps this many transitions, rounded up to whole rows of N environments."""
    replay_shards: Annotated[int, Within(1)] = 1
    """Batches are stratified over this many slices of the environments, so that draws do not depend on devices."""
    n_step: Annotated[int, Within(1)] = 1
    """A critic's target adds up at most this many rewards; it ends early where an episode does."""
    learning_starts: Annotated[int, Within(0)] = 2_000
    """Explore for this many environment steps before the first update."""
    eval_every: Annotated[int, Within(1)] = 65_536
    """Evaluate after every so many environment steps, rounded up to whole chunks."""
    eval_episodes: Annotated[int, Within(1)] = 128
    """Evaluate on this many deterministic episodes and as many stochastic ones, always from the same seeds."""
    chunk_steps: Annotated[int, Within(1)] = 128
    """One compiled call makes this many vector steps; a signal waits for its end."""
    data_shards: Annotated[int, Within(1)] = 1
    """Spread the environments, replay and batches of one member over this many devices."""
    train_freq: Annotated[int, Within(1)] = 1
    """Hand over this many vector steps of environments on the host at once, with all the updates they are owed."""
    overlap: bool = True
    """Step environments on the host while the device learns, by a policy one call older; without it they take turns."""
    member_map: Literal["auto", "vmap", "sequential"] = "auto"
    """Members share a program by vmap, or take turns on one thread a core (sequential); auto chooses by device."""


@dataclass(frozen=True)
class Config:
    """A run. `softrl.preset(env)` makes one with tuned defaults; `softrl.change(config, gamma=0.97)` edits it."""

    algorithm: str = "sac"
    """This algorithm learns, one of `softrl.agents.ALGORITHMS`."""
    env: EnvConfig = field(default_factory=EnvConfig)
    agent: Any = None
    """The algorithm has these static fields; None means its defaults."""
    hypers: Any = None
    """The algorithm has these traced numbers; None means its defaults."""
    replay: ReplayHypers = field(default_factory=ReplayHypers)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self):
        with_parts(self)

    @property
    def traced(self) -> Hypers:
        """All numbers that may differ between the members of one compiled program."""
        return Hypers(self.hypers, self.replay)

    @property
    def chunk_transitions(self) -> int:
        """Environment steps of one chunk."""
        return self.training.chunk_steps * self.env.num_envs

    @property
    def chunks(self) -> int:
        """Chunks until `steps` are reached."""
        return -(-self.training.steps // self.chunk_transitions)

    @property
    def scheduled_steps(self) -> int:
        """Environment steps after which what falls during a run is at its end."""
        return self.training.schedule_steps or self.training.steps

    @property
    def scheduled_updates(self) -> float:
        """About how many updates are made by then."""
        training = self.training
        ends = (training.updates_per_step, training.updates_per_step_end or training.updates_per_step)
        return max(self.scheduled_steps - training.learning_starts, 1) / self.env.num_envs * 0.5 * sum(ends)

    @property
    def eval_chunks(self) -> int:
        """Chunks between evaluations."""
        return -(-self.training.eval_every // self.chunk_transitions)


def validated(config: Config) -> Config:
    """The same config, checked field by field and as a whole.

    Raises: ConfigError saying what was given, what was expected and what to do.
    """
    checked(config)
    entry, training, num_envs = algorithm(config.algorithm), config.training, config.env.num_envs
    entry.validate(config.agent, config.hypers)
    _require_read(config, entry)
    if training.updates_per_step_end > training.updates_per_step:
        raise ConfigError(
            f"updates_per_step_end must be at most updates_per_step {training.updates_per_step}, from which it falls; "
            f"got {training.updates_per_step_end}"
        )
    if "replay_size" in entry.ignores:
        return config
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
    return config


def _require_read(config: Config, entry: Algorithm) -> None:
    """Raises: ConfigError for a setting that was given and that the algorithm does not read."""
    given, unread = flat(config), flat(type(config)(config.algorithm))
    for name in entry.ignores:
        if given[name] != unread[name]:
            raise ConfigError(f"{config.algorithm} does not read {name}, got {given[name]}: leave it out")
    if "replay_shards" in entry.ignores and config.env.num_envs % config.training.data_shards:
        raise ConfigError(
            f"data_shards {config.training.data_shards} must divide num_envs {config.env.num_envs}: each device has "
            "environments of its own"
        )


def with_parts(config: Any) -> None:
    """Gives a config without `agent` or `hypers` its algorithm's defaults.

    Raises: ConfigError for an unknown algorithm, or parts that are another algorithm's.
    """
    entry = algorithm(config.algorithm)
    for part, kind in (("agent", entry.config), ("hypers", entry.hypers)):
        value = getattr(config, part)
        if value is None:
            object.__setattr__(config, part, kind())
        elif not isinstance(value, kind):
            raise ConfigError(
                f"{part} of algorithm {config.algorithm!r} must be a {kind.__name__}, got {type(value).__name__}: "
                f"begin with softrl.preset(env, algorithm={config.algorithm!r})"
            )


def read(data: Mapping[str, Any]) -> Config:
    """The config that `softrl.config.to_json` wrote, by this version or an older one.

    Raises: ConfigError for a field or an algorithm that this version does not know.
    """
    return from_json(Config, with_types(data))


def with_types(data: Mapping[str, Any]) -> dict[str, Any]:
    """A config's dictionaries with those of its algorithm's parts read, and what older versions wrote as today's."""
    data = dict(data)
    entry: Algorithm = algorithm(data.setdefault("algorithm", "sac"))
    agent, hypers = dict(data["agent"]), dict(data["hypers"])
    moved = {name: hypers.pop(name) for name in list(hypers) if name in ReplayHypers.__dataclass_fields__}
    for name, value in entry.old_fields(data).items():
        (agent if name in entry.config.__dataclass_fields__ else hypers).setdefault(name, value)
    data["agent"] = from_json(entry.config, agent)
    data["hypers"] = from_json(entry.hypers, hypers)
    data["replay"] = {**data.get("replay", {}), **moved}
    return data
