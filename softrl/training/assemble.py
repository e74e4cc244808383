"""From a config to the static pieces of its compiled programs."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl.agents.sac import build, resolve
from softrl.envs import make_env
from softrl.replay import time_major
from softrl.training.config import Config, validated
from softrl.training.state import Program
from softrl.types import Env, PyTree


class Assembled(NamedTuple):
    """A config made concrete. hypers: the agent's, resolved for this robot, plain numbers. evaluation: its own Env."""

    config: Config
    program: Program
    evaluation: Env
    hypers: PyTree


def assemble(config: Config, *, randomize=None, log_prior=None) -> Assembled:
    """Builds environments, replay and agent.

    Args: `randomize`: see `softrl.envs.make_env`. `log_prior`: see `softrl.agents.sac.build`.
    Raises: ConfigError, before anything is compiled or allocated.
    """
    validated(config)
    training = config.training
    env = make_env(config.env, randomize=randomize)
    replay = time_major(
        env.spec,
        capacity=training.replay_size,
        batch_size=training.batch_size,
        n_step=training.n_step,
        shards=training.replay_shards,
    )
    starts = max(math.ceil(training.learning_starts / config.env.num_envs), training.n_step + 1)
    program = Program(env, build(config.agent, env.spec, log_prior=log_prior), replay, training.updates_per_step, starts)
    evaluation = make_env(config.env, num_envs=2 * training.eval_episodes, stagger=False)
    return Assembled(config, program, evaluation, resolve(config.hypers, env.spec.action_size))


def member_hypers(assembled: Assembled) -> PyTree:
    """The hyperparameters of all M members as `[M]` float32 arrays."""
    members = assembled.config.training.seeds
    return jax.tree.map(lambda x: jnp.full(members, x, jnp.float32), assembled.hypers)


def member_keys(config: Config) -> jax.Array:
    """The run key of every member, `[M]`: member i of a sweep is the solo run with seed `seed` + i."""
    seeds = config.training.seed + jnp.arange(config.training.seeds)
    return jax.vmap(lambda seed: jax.random.key(seed, impl="threefry2x32"))(seeds)
