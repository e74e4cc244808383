"""A policy as flat names → arrays, for whoever does not speak JAX."""

import jax
import numpy as np

from softrl.types import PyTree


def named(policy: PyTree) -> dict[str, np.ndarray]:
    """Every array of a published policy, copied to the host, by a name such as `policy/Dense_0/kernel` or
    `statistics/mean` (`statistics/mean/state` of a dictionary observation).

    Dense kernels are `[in, out]`. What to compute with them: `Learner.actor().spec.layers`.
    """
    leaves = jax.tree_util.tree_flatten_with_path(policy)[0]
    # A copy: on a CPU the array would be a view of memory that the next step is given.
    return {_name(path): np.array(leaf) for path, leaf in leaves}


def _name(path) -> str:
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    return name.replace("params/params/", "policy/", 1)
