"""One host of a run that is spread over several: `python -m tests.training.host_worker ADDRESS COUNT INDEX FILE`."""

import sys
from functools import partial

import jax
import numpy as np

from softrl.training import devices, hosts, members
from softrl.training.assemble import assemble, member_hypers, member_keys
from tests import tiny

SIZES = {"num_envs": 8, "replay_shards": 4, "batch_size": 32, "seeds": 2, "n_step": 2, "data_shards": 2}


def after_two_chunks(mesh):
    """The run, in this process's slice where there is a mesh of several hosts."""
    config = tiny.config(**SIZES)
    assembled = assemble(config)
    begin = lambda: (
        members.init_members(assembled.program, member_keys(config), member_hypers(assembled)),
        member_hypers(assembled),
    )
    where = None
    if mesh is not None:
        everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        run, hypers = jax.eval_shape(begin)
        where = (devices.shardings(mesh, run), jax.tree.map(lambda _: everywhere, hypers))
    run, hypers = jax.jit(begin, out_shardings=where)()
    step = partial(members.chunk_members, assembled.program, length=config.training.chunk_steps, how="vmap")
    program = jax.jit(step, donate_argnums=0, out_shardings=None if where is None else (where[0], None))
    for _ in range(2):
        run, info = program(run, hypers)
    return run, info


def main(address: str, count: str, index: str, path: str) -> None:
    """Joins, trains two chunks, and leaves the whole run in a file of process 0."""
    hosts.join(address, count=int(count), index=int(index), timeout_s=120)
    mesh = devices.make_mesh(SIZES["seeds"], SIZES["data_shards"], jax.devices())
    assert mesh.size == jax.device_count() > jax.local_device_count()
    run, info = after_two_chunks(mesh)
    whole = hosts.gathered((run, info))
    if int(index) == 0:
        np.savez(path, *jax.tree.leaves(whole))


if __name__ == "__main__":
    main(*sys.argv[1:])
