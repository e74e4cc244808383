"""Brax's own SAC, which needs help to run at all: jax 0.10 took away a function that Brax 0.14.2 still calls."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from brax import envs
from brax.training.agents.sac import train as brax_sac

from benchmarks import protocol


def device_put_replicated(tree: Any, devices: list) -> Any:
    """What `jax.device_put_replicated` did: a copy of every array on every device, stacked on a new first axis."""
    mesh = jax.sharding.Mesh(devices, ("device",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("device"))
    stack = lambda x: jnp.broadcast_to(jnp.asarray(x), (len(devices), *jnp.shape(x)))
    return jax.tree.map(lambda x: jax.device_put(stack(x), sharding), tree)


jax.device_put_replicated = device_put_replicated


def trainer(robot: str, backend: str, **settings: Any):
    """`brax.training.agents.sac.train` of a robot on one device, everything else as Brax has it."""
    environment = envs.get_environment(robot, backend=backend)
    return functools.partial(
        brax_sac.train, environment=environment, episode_length=1000, max_devices_per_host=1, **settings
    )


def about() -> dict[str, Any]:
    """Versions and device."""
    return {
        "versions": protocol.versions("brax", "jax", "jaxlib", "flax", "optax", "mujoco", "mujoco-mjx"),
        "device": jax.local_devices()[0].device_kind,
    }
