"""Priors over actions, whose KL can take the place of the entropy."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from softrl.errors import ConfigError
from softrl.types import Action, Discrete, EnvSpec, PyTree, Spec

LogPrior = Callable[[PyTree, jax.Array], jax.Array]
"""`(obs [B, ...], action [B, A]) -> log density [B]`, in nats; obs as the environment gives it. Of n discrete actions
it is asked about all at once: `action [B, n] -> log probability [B, n]`. It must be finite: an action that must not be
taken gets a very negative number."""


def log_uniform(action: Action) -> float:
    """The log density of the uniform prior, −A log 2 on (−1, 1)^A or −log n, in nats."""
    return -(math.log(action.n) if isinstance(action, Discrete) else action.size * math.log(2.0))


def require_sound(log_prior: LogPrior | None, spec: Spec | EnvSpec) -> None:
    """Raises: ConfigError for a prior that is no function, or that does not give one number a row; None is one.

    Its own errors are its own, with their traceback.
    """
    if log_prior is None:
        return
    if not callable(log_prior):
        raise ConfigError(f"log_prior must be a function (obs, action) -> log density, got {log_prior!r}")
    rows = 3
    each = (spec.action.n,) if isinstance(spec.action, Discrete) else spec.action.shape
    many = lambda shape, dtype: jax.ShapeDtypeStruct((rows, *shape), dtype)
    obs = jax.tree.map(lambda leaf: many(leaf.shape, leaf.dtype), spec.obs)
    said = jax.eval_shape(log_prior, obs, many(each, spec.action.dtype))
    expected = (rows, *each) if isinstance(spec.action, Discrete) else (rows,)
    given = said.shape if hasattr(said, "shape") else f"a {type(said).__name__}"
    if given != expected or not jnp.issubdtype(said.dtype, jnp.floating):
        raise ConfigError(
            f"log_prior(obs, action) must give floating-point log densities of shape {expected} for actions of shape "
            f"{(rows, *each)}, got {given if given != expected else said.dtype}"
        )


def of_action(log_prior: LogPrior, kind: Action, obs: PyTree, action: jax.Array) -> jax.Array:
    """What a prior says of one action a row, `[B]`; of discrete ones it is asked about all at once."""
    if not isinstance(kind, Discrete):
        return log_prior(obs, action)
    every = jnp.broadcast_to(jnp.arange(kind.n, dtype=action.dtype)[None], (len(action), kind.n))
    return jnp.take_along_axis(log_prior(obs, every), action[:, None], axis=-1)[:, 0]
