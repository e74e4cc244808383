"""Several devices are a sharding of the same run: the same draws, the same numbers."""

from functools import partial

import jax
import numpy as np
import pytest

from softrl.agents import ALGORITHMS
from softrl.agents import algorithm as registered
from softrl.errors import ConfigError
from softrl.training import devices, members
from softrl.training.assemble import assemble, member_hypers, member_keys
from softrl.types import Continuous
from tests import test_contracts

SIZES = {"num_envs": 8, "replay_shards": 4, "batch_size": 32, "seeds": 2, "n_step": 2}


def after_two_chunks(algorithm, mesh):
    """State of a run, and the text of its compiled chunk."""
    config = test_contracts.config(algorithm, Continuous, **SIZES)
    assembled = assemble(config)
    keys, hypers = member_keys(config), member_hypers(assembled)
    start = partial(members.init_members, assembled.program)
    abstract = jax.eval_shape(start, keys, hypers)
    where = None if mesh is None else devices.shardings(mesh, abstract)
    placed = {} if mesh is None else {"out_shardings": where}
    run = jax.jit(start, **placed)(keys, hypers)
    step = partial(members.chunk_members, assembled.program, length=config.training.chunk_steps, how="vmap")
    both = {} if mesh is None else {"out_shardings": (where, None)}
    program = jax.jit(step, donate_argnums=0, **both).lower(run, hypers).compile()
    for _ in range(2):
        run, _ = program(run, hypers)
    return run, program.as_text()


@pytest.fixture(
    scope="module",
    params=["sac", *(pytest.param(x, marks=pytest.mark.slow) for x in (*ALGORITHMS, "sac, frontier") if x != "sac")],
)
def alone(request):
    """An algorithm, and its run on one device."""
    return request.param, after_two_chunks(request.param, None)[0]


@pytest.mark.parametrize("members_wide, data_wide", [pytest.param(1, 4, marks=pytest.mark.slow), (2, 4)])
def test_a_run_spread_over_devices_is_the_run_of_one_device(alone, members_wide, data_wide):
    algorithm, alone = alone
    mesh = jax.sharding.Mesh(
        np.asarray(jax.devices()[: members_wide * data_wide]).reshape(members_wide, data_wide), ("member", "data")
    )
    run, text = after_two_chunks(algorithm, mesh)
    is_ring = lambda part: hasattr(part, "reward")
    reward = next(filter(is_ring, jax.tree.leaves(run.learner.replay, is_leaf=is_ring))).reward
    assert reward.addressable_shards[0].data.shape == (2 // members_wide, reward.shape[1], 8 // data_wide)
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(run), strict=True):
        if jax.dtypes.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        # Gradients are summed in another order over devices: float32 rounding, amplified by 32 Adam steps.
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=2e-3, atol=2e-4)
    rows = reward.shape[1]
    gathered = [line for line in text.splitlines() if "all-gather" in line and f",{rows}," in line]
    # A rollout is shuffled into minibatches, all of it; a replay must stay where it is.
    assert not gathered or not registered(algorithm.split(",")[0]).off_policy, gathered[0]


def test_the_mesh_takes_the_devices_that_divide_the_members():
    four = jax.devices()[:4]
    assert devices.make_mesh(8, 1, four).shape == {"member": 4, "data": 1}
    assert devices.make_mesh(6, 1, four).shape == {"member": 3, "data": 1}
    assert devices.make_mesh(2, 2, four).shape == {"member": 2, "data": 2}
    assert devices.make_mesh(1, 1, four) is None
    with pytest.raises(ConfigError, match="this machine has 4"):
        devices.make_mesh(1, 8, four)
