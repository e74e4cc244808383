"""From a soft actor-critic's policy to the plain arrays that every format is written from."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from softrl.agents.sac import SACConfig
from softrl.errors import ExportError
from softrl.numpy_policy import NumpyPolicy, PolicySpec, shapes
from softrl.types import EnvSpec, PyTree, Spec

CLIP, EPSILON, LAYER_NORM_EPSILON = 10.0, 1e-6, 1e-6  # of `statistics.normalize` and flax's LayerNorm


def portable(
    config: SACConfig,
    spec: Spec | EnvSpec,
    arrays: Mapping[str, np.ndarray],
    *,
    version: int = 0,
) -> NumpyPolicy:
    """A policy as plain arrays and how to read them, with nothing that only a critic sees.

    Args:
      arrays: as `softrl.learner.names.named(policy)` or `Learner.policy().arrays` gives them.
      spec: actions leave within the bounds of `spec.action`, where it has them.
    Raises:
      ExportError: observations that are not an array or (nested) dictionaries of arrays.
    """
    part = spec.obs if spec.actor_obs is None else {spec.actor_obs: spec.obs[spec.actor_obs]}
    inputs = tuple((_name(path), leaf.shape) for path, leaf in jax.tree_util.tree_flatten_with_path(part)[0])
    description = PolicySpec(
        inputs=inputs,
        nested=isinstance(spec.obs, dict),
        action_size=spec.action.size,
        width=config.width,
        depth=config.depth,
        activation=config.activation,
        layer_norm=config.layer_norm,
        normalize_obs=config.normalize_obs,
        clip=CLIP,
        epsilon=EPSILON,
        layer_norm_epsilon=LAYER_NORM_EPSILON,
        log_std_min=config.log_std_min,
        log_std_max=config.log_std_max,
    )
    low, high = spec.action.low, spec.action.high
    bounds = {"action/low": -1.0 if low is None else low, "action/high": 1.0 if high is None else high}
    known = {**arrays, **{name: np.broadcast_to(value, spec.action.size) for name, value in bounds.items()}}
    return NumpyPolicy(description, {name: np.array(known[name], np.float32) for name in shapes(description)}, version)


def _name(path: tuple[Any, ...]) -> str:
    """`state/joints` for `obs["state"]["joints"]`; a bare array is `obs`."""
    keys = [getattr(key, "key", None) for key in path]
    if any(not isinstance(key, str) or "/" in key for key in keys):
        raise ExportError(
            f"observations must be an array or dictionaries of arrays without / in their names, got {path}"
        )
    return "/".join(keys) or "obs"


def whole(spec: Spec | EnvSpec, obs: PyTree) -> PyTree:
    """A whole batch of observations from the part that the actor sees; zeros where it does not look."""
    if spec.actor_obs is None:
        return obs
    rows = jax.tree.leaves(obs)[0].shape[0]
    blank = jax.tree.map(lambda leaf: jnp.zeros((rows, *leaf.shape)), spec.obs)
    return {**blank, spec.actor_obs: obs[spec.actor_obs]}
