"""How a run whose environments are on the host begins: what it cannot be, its shapes, its first state."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from softrl.clock import Clock
from softrl.envs.host import HostEnv
from softrl.errors import ConfigError
from softrl.training.assemble import Assembled
from softrl.training.hosted.device import init
from softrl.training.state import Rollout, RunState
from softrl.types import EnvState, PyTree


def require_possible(assembled: Assembled) -> None:
    """Refuses what host environments cannot do.

    Raises: ConfigError.
    """
    training = assembled.config.training
    if training.seeds != 1:
        raise ConfigError(
            f"{assembled.config.env.env} runs on the host, one member a process: set seeds 1, got {training.seeds}"
        )
    if training.data_shards != 1:
        raise ConfigError(f"{assembled.config.env.env} runs on the host: set data_shards 1, got {training.data_shards}")
    if training.chunk_steps % training.train_freq:
        raise ConfigError(
            f"chunk_steps must be a multiple of train_freq, {training.train_freq}; got {training.chunk_steps}: change "
            "either"
        )


def abstract_state(assembled: Assembled) -> RunState:
    """Shapes and types of the run."""
    require_possible(assembled)
    env = assembled.program.env
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    hypers = jax.tree.map(lambda _: jax.ShapeDtypeStruct((1,), jnp.float32), assembled.hypers)
    learner = jax.eval_shape(partial(init, assembled.program), key, hypers)
    zeros = jax.tree.map(lambda s: np.zeros((env.spec.num_envs, *s.shape), s.dtype), env.spec.obs)
    first = first_environment(env, zeros, np.zeros(2, np.uint32), np.zeros(env.snapshot_size, np.uint8))
    clock = jax.eval_shape(Clock.start)
    host = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), first)
    return RunState(clock, learner, *host)


def first_environment(env: HostEnv, obs: PyTree, words: np.ndarray, sim: np.ndarray) -> tuple[EnvState, Rollout]:
    """After a reset. Args: `obs`: `[N, ...]`; `words`: the run's key; `sim`: the environments' snapshot."""
    count = env.spec.num_envs
    none, zero = np.zeros((1, count), bool), np.zeros((1, count), np.float32)
    obs = jax.tree.map(lambda x: x[None], obs)
    episode, steps = np.zeros((1, count), np.uint32), np.zeros((1, count), np.int32)
    state = EnvState(obs, zero, none, none, obs, ~none, sim[None], words[None], episode, steps)
    return state, Rollout((), zero, steps)
