"""From a config to the static pieces of its compiled programs."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl.agents import algorithm, numbers_for
from softrl.config import Seed, change, flat, python, setting
from softrl.envs import Source, found, make_env
from softrl.envs.domain_randomization import OWN
from softrl.errors import ConfigError, suggestion
from softrl.numpy_policy import NumpyPolicy
from softrl.training import specs
from softrl.training.config import Config, validated
from softrl.training.state import Falling, Program
from softrl.types import Env, EnvSpec, Hypers, PyTree


class Assembled(NamedTuple):
    """A config made concrete.

    hypers: resolved for this robot, plain numbers. evaluation: its own Env. members: what each has of its own, as given
    to `assemble`; None: seeds that follow one another, hyperparameters as the config's. source: where the environments
    come from; evaluation_source: those to evaluate in, None: the same. functions: `randomize` and `log_prior`. origin:
    the run whose learner this one begins with, where it is given.
    """

    config: Config
    program: Program
    evaluation: Env
    hypers: Hypers
    members: tuple[Mapping[str, Any], ...] | None = None
    source: Source | None = None
    evaluation_source: Source | None = None
    functions: Mapping[str, Any] = {}
    origin: str | None = None


def assemble(
    config: Config,
    *,
    env: Any = None,
    evaluation_env: Any = None,
    randomize=None,
    log_prior=None,
    members: Sequence[Mapping[str, Any]] | None = None,
) -> Assembled:
    """Builds environments, replay and agent.

    Args:
      env: in place of what `config.env` names, and evaluation_env, in place of `env` to evaluate in: see
        `softrl.envs.found`.
      randomize: see `softrl.envs.make_env`. log_prior: an action prior of your own, for algorithms that know one.
      members: see `with_members`.
    Raises: ConfigError, before anything is compiled or allocated.
    """
    validated(config)
    training = config.training
    source, other = _sources(config, env, evaluation_env)
    env = make_env(config.env, source, randomize=_randomize(config, randomize))
    entry = algorithm(config.algorithm)
    hypers = resolve(config, config.traced, env.spec)
    replay = entry.replay(
        config.agent,
        env.spec,
        capacity=training.replay_size,
        batch_size=training.batch_size,
        n_step=training.n_step,
        shards=training.replay_shards,
    )
    if training.chunk_steps % replay.horizon:
        raise ConfigError(
            f"chunk_steps must be a multiple of the {replay.horizon} vector steps that {config.algorithm} learns from "
            f"at once, got {training.chunk_steps}"
        )
    if not entry.off_policy:
        _require_on_policy(config)
    starts = max(math.ceil(training.learning_starts / config.env.num_envs), replay.least)
    agent = entry.build(config.agent, env.spec, log_prior=log_prior)
    program = Program(env, agent, replay, training.updates_per_step, starts, _falling(config))
    evaluation = make_env(config.env, other or source, num_envs=2 * training.eval_episodes, stagger=False)
    specs.require_alike(specs.written(env.spec), evaluation.spec, "evaluation_env differs from env")
    assembled = Assembled(config, program, evaluation, hypers, source=source, evaluation_source=other)
    assembled = assembled._replace(functions={"randomize": randomize, "log_prior": log_prior})
    return assembled if members is None else with_members(assembled, members)


def idle(assembled: Assembled) -> str:
    """Why nothing would be learned in a run, in words; empty where something is."""
    config = assembled.config
    steps, starts = config.chunks * config.chunk_transitions, assembled.program.learning_starts * config.env.num_envs
    return f"nothing will be learned: learning_starts is {starts:,} of {steps:,} steps" if starts >= steps else ""


def _randomize(config: Config, given: Any) -> Any:
    if not config.env.domain_randomization:
        return given
    if given is not None:
        raise ConfigError("give domain_randomization, which comes with the robot, or randomize, a function; got both")
    return OWN


def _falling(config: Config) -> Falling | None:
    end = config.training.updates_per_step_end
    return Falling(end, config.scheduled_steps / config.env.num_envs) if end else None


def _require_on_policy(config: Config) -> None:
    """Raises: ConfigError for settings that only learning from older or others' actions could follow."""
    training, name = config.training, config.algorithm
    if training.learning_starts:
        raise ConfigError(
            f"{name} learns from its own actions only, so it cannot explore by others: set learning_starts 0, got "
            f"{training.learning_starts}"
        )
    if training.updates_per_step != 1:
        raise ConfigError(
            f"{name} learns from what its newest policy did, once: set updates_per_step 1, got "
            f"{training.updates_per_step}"
        )


def _sources(config: Config, env: Any, evaluation_env: Any) -> tuple[Source, Source | None]:
    one = found(config.env.env if env is None else env, config.env.kwargs)
    other = None if evaluation_env is None else found(evaluation_env)
    if other is not None and other.on_host != one.on_host:
        raise ConfigError(f"evaluation_env {other.name} and {one.name} must both be in JAX, or both on the host")
    # By its name alone one would find it with the config's backend, and another one without arguments.
    kept = [
        s and s._replace(lasting=s.lasting and s.backend in (None, config.env.backend) and s.kwargs in (None, kwargs))
        for s, kwargs in ((one, config.env.kwargs), (other, {}))
    ]
    return kept[0], kept[1]


def acting(assembled: Assembled, policy: PyTree) -> NumpyPolicy:
    """A published policy as one that acts without JAX."""
    return algorithm(assembled.config.algorithm).actor(assembled.config.agent, assembled.program.env.spec, policy)


def with_members(assembled: Assembled, members: Sequence[Mapping[str, Any]]) -> Assembled:
    """The same programs for other members: for each its `seed` and any hyperparameters, by name.

    Raises: ConfigError where there are not as many as the config's `seeds`, or one has what only a program can have.
    """
    wanted, known = assembled.config.training.seeds, ["seed", *flat(assembled.config.traced)]
    if len(members) != wanted:
        raise ConfigError(f"seeds is {wanted}, so there must be as many members; got {len(members)}")
    for member in members:
        for name in member:
            if name not in known:
                raise ConfigError(f"a member cannot have a {name!r} of its own{suggestion(name, known)}")
        if "seed" not in member:
            raise ConfigError(f"every member needs a seed, got {dict(member)!r}")
    own = tuple({**python(member), "seed": setting("seed", member["seed"], Seed)} for member in members)
    assembled = assembled._replace(members=own)
    resolved(assembled)
    return assembled


def resolved(assembled: Assembled) -> list[Hypers]:
    """The hyperparameters of all M members, resolved for their robot, plain numbers.

    Raises: ConfigError where a member's are out of range.
    """
    config = assembled.config
    if assembled.members is None:
        return [assembled.hypers] * config.training.seeds

    @functools.cache  # many members have the same
    def of(*own: tuple[str, Any]) -> Hypers:
        return resolve(config, change(config.traced, **dict(own)), assembled.program.env.spec)

    return [of(*((name, x) for name, x in member.items() if name != "seed")) for member in assembled.members]


def resolve(config: Config, traced: Hypers, spec: EnvSpec) -> Hypers:
    """Hyperparameters of a config's algorithm, every number of them known for a robot.

    Raises: ConfigError where the robot cannot have them.
    """
    return replace(traced, agent=numbers_for(config.algorithm, traced.agent, spec, updates=config.scheduled_updates))


def member_hypers(assembled: Assembled) -> Hypers:
    """The hyperparameters of all M members as `[M]` float32 arrays."""
    return jax.tree.map(lambda *values: jnp.asarray(np.asarray(values, np.float32)), *resolved(assembled))


def member_keys(config: Config, members: Sequence[Mapping[str, Any]] | None = None) -> jax.Array:
    """The run key of every member, `[M]`, a function of its seed alone.

    Member i has the seed that `members` says, or `seed` + i: it is the solo run with that seed.
    """
    own = config.training.seed + np.arange(config.training.seeds) if members is None else [m["seed"] for m in members]
    return jax.vmap(lambda seed: jax.random.key(seed, impl="threefry2x32"))(jnp.asarray(own, jnp.int32))
