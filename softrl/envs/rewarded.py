"""An environment that pays by a learned reward instead of its own."""

import hashlib
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from softrl import networks, running_statistics
from softrl.envs.config import EnvConfig
from softrl.envs.families import found
from softrl.envs.source import Source
from softrl.errors import ConfigError, TensorError
from softrl.numpy_network import Scalar
from softrl.numpy_policy import NumpyPolicy, at, nested
from softrl.running_statistics import Statistics
from softrl.types import Discrete, Env, EnvSpec, EnvState, PyTree


def rewarded(env: Any, reward: NumpyPolicy | str | Path, env_kwargs: dict[str, Any] | None = None) -> Source:
    """An environment in JAX whose steps pay g(s, a), to be given to `softrl.train` as `env`.

    Args:
      env: as of `softrl.train`. env_kwargs: for whatever makes it.
      reward: what `Run.export(what="reward", format="safetensors")` wrote, or the same loaded.
    Raises: ConfigError: an environment on the host; a file that is no reward; when the environment is made,
      observations or actions that the reward does not know.
    Example: `softrl.train(config, env=rewarded("brax/ant", "reward.safetensors"), evaluation_env="brax/ant")`.
    """
    source = found(env, env_kwargs)
    if source.on_host:
        raise ConfigError(f"{source.name} is on the host: only environments in JAX can be paid by a learned reward")
    network = reward if isinstance(reward, NumpyPolicy) else _loaded(reward)
    if not isinstance(network.spec.head, Scalar):
        raise ConfigError("the file holds a policy and no reward: export one with what='reward'")
    return source._replace(
        make=partial(_made, source, network), of=f"{source.of} paid by reward {_digest(network)}", lasting=False
    )


def _digest(reward: NumpyPolicy) -> str:
    """Another reward is another environment: a run must not go on with it unnoticed."""
    words = hashlib.sha256()
    for name in sorted(reward.arrays):
        words.update(name.encode() + reward.arrays[name].tobytes())
    return words.hexdigest()[:12]


def _loaded(path: str | Path) -> NumpyPolicy:
    try:
        return NumpyPolicy.load(path)
    except (OSError, TensorError) as error:
        raise ConfigError(f"reward {str(path)!r}: {error}") from None


def _made(source: Source, reward: NumpyPolicy, config: EnvConfig, **how: Any) -> Env:
    env = source.make(config, **how)
    pays = in_jax(reward)
    _require_known(reward, env.spec)
    return env._replace(step=partial(_step, env, reward, pays))


def _step(env: Env, reward: NumpyPolicy, pays: Callable, state: EnvState, action: jax.Array) -> EnvState:
    after = env.step(state, action)
    earned = pays(_given(reward, env.spec, state.obs, action))
    return after._replace(reward=jnp.where(after.valid, earned, 0.0))


def _given(reward: NumpyPolicy, spec: EnvSpec, obs: PyTree, action: jax.Array) -> PyTree:
    if not _sees_actions(reward):
        return obs
    numbers = jax.nn.one_hot(action, spec.action.n) if isinstance(spec.action, Discrete) else action
    return {"obs": obs, "action": numbers}


def _sees_actions(reward: NumpyPolicy) -> bool:
    """Only beside `obs`: an observation may have an entry of that name."""
    paths = [entry.path for entry in reward.spec.inputs]
    return ("action",) in paths and any(path[:1] == ("obs",) for path in paths)


def _require_known(reward: NumpyPolicy, spec: EnvSpec) -> None:
    obs = jax.tree.map(lambda s: jnp.zeros((1, *s.shape), s.dtype), spec.obs)
    given = _given(reward, spec, obs, jnp.zeros((1, *spec.action.shape), spec.action.dtype))
    for entry in reward.spec.inputs:
        try:
            shape = at(given, entry.path).shape[1:]
        except (KeyError, IndexError, TypeError, AttributeError):
            shape = None
        if shape != entry.shape:
            raise ConfigError(
                f"the reward wants {entry.name} of shape {entry.shape}, and {spec.name} has "
                f"{'none' if shape is None else f'one of {shape}'}"
            )


def in_jax(policy: NumpyPolicy) -> Callable[[PyTree], jax.Array]:
    """A network of one number as a function in JAX: from its inputs, nested, `[B, ...]` to `[B]`."""
    spec = policy.spec
    size = sum(math.prod(entry.shape) for entry in spec.inputs)
    params: dict[str, Any] = nested(
        {tuple(name.split("/")[1:]): jnp.asarray(x) for name, x in policy.arrays.items() if name.startswith("policy/")}
    )
    forward = networks.network(spec.layers, size).apply

    def compute(given: PyTree) -> jax.Array:
        parts = [at(given, entry.path).astype(jnp.float32) for entry in spec.inputs]
        if spec.normalizer is not None:
            moments = [tuple(jnp.asarray(policy.arrays[name]) for name in entry.moments) for entry in spec.inputs]
            seen = Statistics(jnp.float32(0.0), *(list(x) for x in zip(*moments, strict=True)))
            parts = running_statistics.normalize(seen, parts, spec.normalizer)
        x = jnp.concatenate([part.reshape(len(part), -1) for part in parts], axis=-1)
        return forward({"params": params}, (), x)[0][:, 0]

    return compute
