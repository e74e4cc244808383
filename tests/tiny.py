"""Runs so small that they compile and train in seconds, and a look at what they have learned."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl import networks, running_statistics
from softrl.agents import algorithm as registered
from softrl.agents import returns
from softrl.agents.actor import policy_layers
from softrl.agents.critics import critic_layers
from softrl.agents.sac import SACConfig
from softrl.agents.sac.critic import belief_of
from softrl.config import change, flat, replaced
from softrl.training import members
from softrl.training.assemble import Assembled, assemble, member_hypers, member_keys
from softrl.training.config import Config
from softrl.training.state import RunState

SIZES = {
    "env": "probe/bounded-lq",
    "width": 16,
    "depth": 1,
    "norm": "none",
    "num_envs": 8,
    "episode_length": 16,
    "batch_size": 32,
    "replay_size": 1024,
    "learning_starts": 64,
    "updates_per_step": 2,
    "chunk_steps": 16,
    "eval_episodes": 2,
    "eval_every": 256,
    "steps": 512,
}

FRONTIER = {
    "critic": "categorical",
    "atoms": 11,
    "reward_scaling": "returns",
    "norm": "batch",
    "residual": True,
    "width": 8,
    "unit_weights": True,
    "exploration": "repeated",
    "policy_delay": 2,
    "reset_every": 50,
    "reset_networks": "critics",
    "rate_end": 0.1,
    "rate_updates": 200.0,
}
"""Of soft actor-critic, all that the published one is not, at once."""

OWN = {
    "policy-gradient": {"horizon": 8, "epochs": 2, "minibatches": 2},
    "soft-q": {"value_particles": 8, "stein_particles": 8},
    "mpo": {"action_draws": 3},
    "airl": {"reward_widths": "8"},
}
"""Settings that an algorithm needs to be as small, by its name."""


def config(algorithm: str = "sac", **changes) -> Config:
    """A tiny run; any field by its flat name. Sizes that the algorithm does not read are left out.

    `sac, frontier` is soft actor-critic with `FRONTIER`.
    """
    algorithm, *frontier = algorithm.split(", ")
    changes = (FRONTIER if frontier else {}) | changes
    entry, default = registered(algorithm), Config(algorithm)
    own = {} if entry.off_policy else {"learning_starts": 0, "updates_per_step": 1}
    sizes = {**SIZES, **own, **OWN.get(algorithm, {}), **changes}
    read = {name: value for name, value in sizes.items() if name not in entry.ignores}
    return change(default, **{name: value for name, value in read.items() if name in flat(default) or name in changes})


class Made(NamedTuple):
    """A config's programs. start: `(keys, hypers) -> run`; step: `(run, hypers) -> (run, info)`, one chunk."""

    assembled: Assembled
    start: Callable
    step: Callable


class Trial(NamedTuple):
    """A run and what made it."""

    assembled: Assembled
    run: RunState
    infos: list


def made(config: Config, *, how: str = "sequential", quick: bool = True, **pieces) -> Made:
    """Compiled for a short life, or for a long one where not `quick`. pieces: of `assemble`."""
    assembled = assemble(config, **pieces)
    keys, hypers = member_keys(config), member_hypers(assembled)
    start = partial(members.init_members, assembled.program)
    chunk = partial(members.chunk_members, assembled.program, length=config.training.chunk_steps, how=how)
    step = compiled(chunk, jax.eval_shape(start, keys, hypers), hypers, quick=quick)
    return Made(assembled, compiled(start, keys, hypers), step)


def trained(
    config: Config,
    chunks: int,
    *,
    hypers=None,
    schedule: dict[int, dict] | None = None,
    programs: Made | None = None,
    **how,
) -> Trial:
    """All members of a config after some chunks.

    hypers: in place of the config's, `[M]` leaves. schedule: chunk → hyperparameters that change there. programs: of a
    config that differs from this one in numbers and seed at most. how: of `made`.
    """
    assembled, start, step = made(config, **how) if programs is None else programs
    first = member_hypers(assembled)
    run = start(member_keys(config), first)
    hypers = first if hypers is None else hypers
    infos = []
    for chunk in range(chunks):
        hypers = with_hypers(hypers, **(schedule or {}).get(chunk, {}))
        run, info = step(run, hypers)
        infos.append(info)
    return Trial(assembled, run, infos)


def compiled(function, *args, quick: bool = True):
    """What is run for more than a second is worth LLVM's best effort."""
    options = {} if quick else {"xla_backend_optimization_level": 3}
    return jax.jit(function).lower(*args).compile(compiler_options=options)


def with_hypers(hypers, **values):
    """Hyperparameters of all members with some replaced by a number, or by one for each member."""
    members = jnp.shape(hypers.agent.gamma)
    return replaced(hypers, {name: jnp.broadcast_to(jnp.float32(value), members) for name, value in values.items()})


def member(tree, index: int):
    """One member of a pytree with a leading member axis."""
    return jax.tree.map(lambda x: x[index], tree)


class Learned(NamedTuple):
    """What one agent believes at some observations `[X, O]`, in double precision on the host.

    q: `[K, X, P]` at the actions `[P, A]` that were asked for. mean, log_std: `[X, A]` of the policy.
    """

    q: np.ndarray
    mean: np.ndarray
    log_std: np.ndarray


def learned(assembled: Assembled, agent, obs, actions) -> Learned:
    """Asks an agent (without a member axis) for its critics and its policy."""
    parts, spec = assembled.config.agent, assembled.program.env.spec
    size = int(np.prod(spec.obs.shape))
    bounds = {name: getattr(parts, name) for name in ("log_std_min", "log_std_max", "log_std_map")}
    policy = networks.policy(policy_layers(parts, spec.action), size, **bounds)
    belief = belief_of(parts if isinstance(parts, SACConfig) else SACConfig())  # others' are critics of one number
    layers, shape = critic_layers(parts, belief.outputs), {"num_critics": parts.num_critics, "read": belief.read}
    critic = networks.soft_q(layers, size, spec.action.size, **shape)
    hypers = assembled.hypers.agent
    scaled = getattr(parts, "reward_scaling", "fixed") == "returns"
    divisor = returns.scale(agent.returns, hypers.return_bound) if scaled else 1.0

    @jax.jit
    def ask(agent, obs, actions):
        if parts.normalize_obs:
            obs = running_statistics.normalize(agent.statistics, obs)
        dist, _ = policy.apply(agent.policy.params, agent.policy.batch_stats, obs)
        rows = jnp.repeat(obs, len(actions), axis=0), jnp.tile(actions, (len(obs), 1))
        beliefs, _ = critic.apply(agent.critic.params, agent.critic.batch_stats, *rows)
        q = divisor * belief.value(beliefs, hypers)
        return q.reshape(parts.num_critics, len(obs), len(actions)), dist

    q, dist = ask(agent, jnp.float32(obs), jnp.float32(actions))
    return Learned(*(np.asarray(x, np.float64) for x in (q, *dist)))


def same_bits(one, other) -> bool:
    """Whether two pytrees are equal to the bit, NaN included; typed keys by their data."""
    return all(jax.tree.leaves(jax.tree.map(_same, one, other)))


def _same(a, b) -> bool:
    if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
        a, b = jax.random.key_data(a), jax.random.key_data(b)
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
