"""Priors over actions, whose KL can take the place of the entropy."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from softrl.types import Action, Discrete, PyTree

LogPrior = Callable[[PyTree, jax.Array], jax.Array]
"""`(obs [B, ...], action [B, A]) -> log density [B]`, in nats; obs as the environment gives it. Of n discrete actions
it is asked about all at once: `action [B, n] -> log probability [B, n]`. It must be finite: an action that must not be
taken gets a very negative number."""


def log_uniform(action: Action) -> float:
    """The log density of the uniform prior, −A log 2 on (−1, 1)^A or −log n, in nats."""
    return -(math.log(action.n) if isinstance(action, Discrete) else action.size * math.log(2.0))


def of_action(log_prior: LogPrior, kind: Action, obs: PyTree, action: jax.Array) -> jax.Array:
    """What a prior says of one action a row, `[B]`; of discrete ones it is asked about all at once."""
    if not isinstance(kind, Discrete):
        return log_prior(obs, action)
    every = jnp.broadcast_to(jnp.arange(kind.n, dtype=action.dtype)[None], (len(action), kind.n))
    return jnp.take_along_axis(log_prior(obs, every), action[:, None], axis=-1)[:, 0]
