"""Several devices: a mesh `(member, data)` and where each part of a run lives on it."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from softrl.errors import ConfigError
from softrl.replay import TimeMajorState
from softrl.training.state import LearnerState, RunState
from softrl.types import PyTree, Transition


def make_mesh(members: int, data_shards: int, devices: list | None = None) -> Mesh | None:
    """The mesh for M members with each one's data over `data_shards` devices; None where one device is enough.

    The member axis takes as many of the remaining devices as divide M.
    Raises: ConfigError where there are fewer devices than `data_shards`.
    """
    devices = jax.local_devices() if devices is None else devices
    if data_shards > len(devices):
        raise ConfigError(f"data_shards {data_shards} needs as many devices; this machine has {len(devices)}")
    spare = len(devices) // data_shards
    across = max(width for width in range(1, spare + 1) if members % width == 0)
    if across * data_shards == 1:
        return None
    return Mesh(np.asarray(devices[: across * data_shards]).reshape(across, data_shards), ("member", "data"))


def by_member(mesh: Mesh | None) -> dict[str, NamedSharding]:
    """Of `jax.jit`: every output goes where its member is."""
    return {} if mesh is None else {"out_shardings": NamedSharding(mesh, P("member"))}


def shardings(mesh: Mesh, run: RunState) -> RunState:
    """A `NamedSharding` for every leaf: environments, replay and rollout over `data`, parameters, and what a replay
    has beside its ring, replicated over it.

    Args: `run`: a run of M members, arrays or `ShapeDtypeStruct`.
    """

    def spread(tree: PyTree, *axes: str | None) -> PyTree:
        return jax.tree.map(lambda _: NamedSharding(mesh, P(*axes)), tree)

    is_ring = lambda part: isinstance(part, TimeMajorState | Transition)
    place = lambda part: spread(part, "member", None, "data") if is_ring(part) else NamedSharding(mesh, P("member"))
    if not any(map(is_ring, jax.tree.leaves(run.learner.replay, is_leaf=is_ring))):
        raise ConfigError(f"only time-major replay and rollouts are sharded, got {type(run.learner.replay).__name__}")
    env = spread(run.env, "member", "data")._replace(key=NamedSharding(mesh, P("member")))
    learner = LearnerState(
        agent=spread(run.learner.agent, "member"),
        replay=jax.tree.map(place, run.learner.replay, is_leaf=is_ring),
        health=spread(run.learner.health, "member"),
        key=NamedSharding(mesh, P("member")),
    )
    return RunState(spread(run.clock), learner, env, spread(run.rollout, "member", "data"))
