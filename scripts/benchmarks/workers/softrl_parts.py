"""softrl at the benchmark's sizes: the shipped agent, replay and chunk, on an environment that costs nothing."""

from dataclasses import fields

import jax
import jax.numpy as jnp

from benchmarks.sizes import Sizes
from softrl.agents.sac import SACConfig, SACHypers, build, resolve
from softrl.clock import Clock, Counter
from softrl.envs.episodes import episodes
from softrl.replay import ReplayHypers, time_major
from softrl.training.collect import remember
from softrl.training.state import Program
from softrl.types import Continuous, Hypers, Simulator, Spec, Transition

NUM_ENVS = 64


def program(sizes: Sizes, updates_per_step: int) -> Program:
    """The published networks without LayerNorm, both critics, automatic temperature, normalised observations."""
    simulator = Simulator(
        reset=lambda key, index: (obs := jax.random.normal(key, (sizes.obs_size,)), obs),
        step=lambda obs, action: (obs, obs, jnp.sum(action), jnp.bool_(False)),
        action=Continuous(sizes.action_size),
    )
    env = episodes(simulator, name="bench/free", num_envs=NUM_ENVS, episode_length=1000, stagger=True)
    config = SACConfig(width=sizes.width, depth=sizes.depth, norm="none", policy_delay=1, normalize_obs=True)
    replay = time_major(env.spec, capacity=sizes.replay_size, batch_size=sizes.batch_size)
    return Program(env, build(config, env.spec), replay, updates_per_step, learning_starts=2)


def hypers(sizes: Sizes) -> Hypers:
    """The defaults, as the float32 arrays that a program takes."""
    spec = Spec(jax.ShapeDtypeStruct((sizes.obs_size,), "float32"), Continuous(sizes.action_size))
    return jax.tree.map(jnp.float32, Hypers(resolve(SACHypers(), spec), ReplayHypers()))


def filled(program: Program, sizes: Sizes, learner, clock: Clock):
    """The learner and the clock after as many random transitions as replay holds."""
    rows, carry = sizes.replay_size // NUM_ENVS, program.agent.carry(NUM_ENVS, learner.key)

    def add(t, learner):
        keys = jax.random.split(jax.random.fold_in(learner.key, t), 4)
        obs, next_obs = (jax.random.normal(key, (NUM_ENVS, sizes.obs_size)) for key in keys[:2])
        action = jax.random.uniform(keys[2], (NUM_ENVS, sizes.action_size), minval=-1.0, maxval=1.0)
        never = jnp.zeros(NUM_ENVS, jnp.bool_)
        transition = Transition(obs, action, jax.random.normal(keys[3], (NUM_ENVS,)), never, never, next_obs, ~never)
        step = clock.step.plus(t)
        return remember(program, learner, carry, step, transition, hypers(sizes), quarantined=0)[0]

    return jax.lax.fori_loop(0, rows, add, learner), clock._replace(step=Counter.of(rows))


def require_learning(health) -> None:
    """Refuses to time updates that were skipped.

    Raises: RuntimeError.
    """
    if jnp.any(health.code != 0) or jnp.any(health.skipped != 0):
        raise RuntimeError(f"updates were skipped: {health}")


def wished(settings: dict) -> Sizes:
    """The sizes among a worker's settings."""
    return Sizes(**{field.name: settings[field.name] for field in fields(Sizes)})
