"""A policy file's numbers as the pytree that its algorithm publishes: `softrl.training.assemble.acting` backwards."""

import jax
import jax.numpy as jnp
import numpy as np

from softrl.errors import TensorError
from softrl.numpy_policy import NumpyPolicy
from softrl.training.assemble import Assembled, acting
from softrl.training.opening import abstract_policy
from softrl.training.programs import abstract_run
from softrl.types import PyTree


def published(assembled: Assembled, plain: NumpyPolicy) -> PyTree:
    """The policy as the agent publishes it, whatever its algorithm; what a policy file does not keep is zero.

    Raises: TensorError where the policy is of another network, of other observations or of other actions.
    """
    task = assembled.config.env.env
    # `acting` gives the leaves themselves where they are NumPy's: writing into what it names fills the tree.
    policy = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), abstract_policy(assembled, abstract_run(assembled)))
    named = acting(assembled, policy)
    if named.spec != plain.spec:
        raise TensorError(f"the policy has another network, observations or actions than {task} with these settings")
    for name, array in named.arrays.items():
        if not name.startswith("action/"):
            np.copyto(array, plain.arrays[name])
    policy = jax.tree.map(jnp.asarray, policy)
    wrong = [name for name, x in acting(assembled, policy).arrays.items() if not np.array_equal(x, plain.arrays[name])]
    if wrong:
        raise TensorError(f"the policy's {', '.join(wrong)} differ from those of {task}")
    return policy
