"""The policy as a StableHLO program: `jax.export`, for any batch size, on CPU, CUDA and TPU."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export

from softrl.export.portable import whole
from softrl.types import Agent, EnvSpec, PyTree

PLATFORMS = ("cpu", "cuda", "tpu")


def serialize(agent: Agent, spec: EnvSpec, policy: PyTree, low: np.ndarray, high: np.ndarray) -> bytes:
    """The program `obs -> action`, the policy's numbers baked in; `jax.export.deserialize(data).call(obs)` runs it.

    Its `obs` has a leading batch axis and, of a dictionary observation, only what the actor sees: `{"state": ...}`;
    actions are `[batch, A]` between low and high.
    """
    middle, half = (jnp.asarray(x)[None] for x in (0.5 * (low + high), 0.5 * (high - low)))

    def act(obs: PyTree) -> jax.Array:
        return middle + half * agent.act(policy, (), whole(spec, obs), None)[0]

    (batch,) = jax_export.symbolic_shape("batch")
    seen = spec.obs if spec.actor_obs is None else {spec.actor_obs: spec.obs[spec.actor_obs]}
    obs = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((batch, *leaf.shape), jnp.float32), seen)
    # A product in TF32 or bfloat16 would act differently on an accelerator than on a CPU.
    with jax.default_matmul_precision("highest"):
        return bytes(jax_export.export(jax.jit(act), platforms=PLATFORMS)(obs).serialize())


def run(data: bytes, obs: PyTree) -> np.ndarray:
    """What the program computes on this machine's device."""
    return np.asarray(jax_export.deserialize(bytearray(data)).call(obs))
