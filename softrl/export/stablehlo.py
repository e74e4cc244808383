"""The policy as a StableHLO program: `jax.export`, for any batch size, on CPU, CUDA and TPU."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export

from softrl.agents.carry import afresh
from softrl.agents.observations import whole
from softrl.algorithm import Agent
from softrl.numpy_policy import NumpyPolicy
from softrl.types import EnvSpec, PyTree, Spec

PLATFORMS = ("cpu", "cuda", "tpu")


def serialize(agent: Agent, spec: Spec | EnvSpec, policy: PyTree, plain: NumpyPolicy) -> bytes:
    """The program `obs -> action`, the policy's numbers baked in; `jax.export.deserialize(data).call(obs)` runs it.

    Its `obs` has a leading batch axis and, of a dictionary observation, only what the actor sees: `{"state": ...}`;
    actions leave as those of `plain` do, the same policy in NumPy.
    """

    def act(obs: PyTree) -> jax.Array:
        return plain.scaled(afresh(agent, policy, whole(spec, obs), None))

    (batch,) = jax_export.symbolic_shape("batch")
    seen = spec.obs if spec.actor_obs is None else {spec.actor_obs: spec.obs[spec.actor_obs]}
    obs = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((batch, *leaf.shape), jnp.float32), seen)
    # A product in TF32 or bfloat16 would act differently on an accelerator than on a CPU.
    with jax.default_matmul_precision("highest"):
        return bytes(jax_export.export(jax.jit(act), platforms=PLATFORMS)(obs).serialize())


def run(data: bytes, obs: PyTree) -> np.ndarray:
    """What the program computes on this machine's device."""
    return np.asarray(jax_export.deserialize(bytearray(data)).call(obs))
