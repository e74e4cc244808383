"""What one publishes of a learner, the policy; and the same in NumPy: for files, for servers, and for a host that acts
while the device learns, where XLA would let it wait until the update is done."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from softrl import running_statistics
from softrl.agents.observations import inputs, joined
from softrl.layers import NORMALIZER, Layers
from softrl.numpy_network import Head
from softrl.numpy_policy import NumpyPolicy, PolicySpec, at
from softrl.running_statistics import Statistics
from softrl.types import Action, Continuous, EnvSpec, Network, PyTree, Spec, Transition


class Normalized(Protocol):
    """What is read here of an algorithm's static fields."""

    normalize_obs: bool


class Policy(NamedTuple):
    """Enough to act. statistics: of observations, by which they are normalised."""

    params: PyTree
    batch_stats: PyTree
    statistics: Statistics


Choose = Callable[[Policy, jax.Array, jax.Array | None], jax.Array]
"""Actions for what the actor sees, `[B, O]`; key None asks for the mode."""


def act(choose: Choose, config: Normalized, actor_obs: str | None, policy: Policy, carry: PyTree, obs: PyTree, key):
    """`Agent.act` without a memory: what `choose` makes of the observations that the actor sees."""
    if config.normalize_obs:
        obs = running_statistics.normalize(policy.statistics, obs)
    return choose(policy, joined(obs, actor_obs), key), carry, ()


def from_distribution(
    network: Network, sample: Callable[[jax.Array, Any], jax.Array], mode: Callable[[Any], jax.Array]
) -> Choose:
    """A draw of the distribution that the policy's network gives, or its mode."""

    def choose(policy: Policy, obs: jax.Array, key: jax.Array | None) -> jax.Array:
        dist, _ = network.apply(policy.params, policy.batch_stats, obs, train=False)
        return mode(dist) if key is None else sample(key, dist)

    return choose


def observe(
    config: Normalized, state: Any, carry: PyTree, transition: Transition, hypers: PyTree
) -> tuple[Any, PyTree]:
    """`Agent.observe` of a state whose only running statistics are `statistics`, of observations."""
    if not config.normalize_obs:
        return state, carry
    seen = running_statistics.update(state.statistics, transition.obs, transition.valid)
    return state._replace(statistics=seen), carry


def widths(spelled: str, width: int, depth: int) -> tuple[int, ...]:
    """Of hidden layers: as spelled, `400,300` for example; `depth` times `width` where nothing is."""
    return tuple(map(int, spelled.split(","))) if spelled else (width,) * depth


def in_numpy(
    policy: Policy, spec: Spec | EnvSpec, layers: Layers, head: Head, *, normalize: bool, version: int = 0
) -> NumpyPolicy:
    """A published policy in NumPy, with nothing that only a critic sees; waits for it, and copies nothing on a CPU.

    Args: `layers`: of its network; `head`: how their output becomes actions; `normalize`: whether observations are.
    Raises: ExportError for observations that are more than arrays in dictionaries and tuples.
    """
    leaves, structure = jax.tree.flatten(spec.obs)
    known, bounds = _static(structure, tuple(leaves), spec.actor_obs, spec.action, layers, head, normalize)
    arrays = named_arrays(policy.params, policy.batch_stats)
    seen = policy.statistics.mean, policy.statistics.variance
    for entry in known.inputs if normalize else ():
        arrays |= {name: np.asarray(at(x, entry.path)) for name, x in zip(entry.moments, seen, strict=True)}
    return NumpyPolicy(known, arrays | bounds, version)


def named_arrays(params: PyTree, batch_stats: PyTree) -> dict[str, np.ndarray]:
    """A stack's parameters and running statistics by the names that they have in a policy file."""
    leaves, structure = jax.tree.flatten((params["params"], batch_stats))
    return dict(zip(_names(structure), map(np.asarray, leaves), strict=True))


@lru_cache(maxsize=8)
def _names(structure: Any) -> tuple[str, ...]:
    """Of a stack's arrays: a host asks for them at every call, and paths take long to spell."""
    paths = jax.tree.leaves_with_path(jax.tree.unflatten(structure, range(structure.num_leaves)))
    return tuple(f"policy/{jax.tree_util.keystr(path[1:], simple=True, separator='/')}" for path, _ in paths)


@lru_cache(maxsize=8)
def _static(
    structure: Any,
    leaves: tuple[Any, ...],
    actor_obs: str | None,
    action: Action,
    layers: Layers,
    head: Head,
    normalize: bool,
) -> tuple[PolicySpec, dict[str, np.ndarray]]:
    """What does not change while a policy learns: how to read it, and the actions' bounds."""
    seen = inputs(jax.tree.unflatten(structure, leaves), actor_obs)
    spec = PolicySpec(seen, layers, head, NORMALIZER if normalize else None)
    if not isinstance(action, Continuous):
        return spec, {}
    ends = {"action/low": action.low or -1.0, "action/high": action.high or 1.0}
    return spec, {name: np.array(np.broadcast_to(end, action.size), np.float32) for name, end in ends.items()}
