"""Memory: a run's size is told before it is allocated, and one that cannot fit is refused."""

from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl.errors import ConfigError
from softrl.training import members, memory
from softrl.training.assemble import assemble, member_hypers, member_keys
from softrl.training.programs import abstract_run
from tests import tiny


def test_the_size_that_is_told_is_the_size_that_is_allocated():
    assembled = assemble(tiny.config(seeds=2))
    keys, hypers = member_keys(assembled.config), member_hypers(assembled)
    run = jax.jit(partial(members.init_members, assembled.program))(keys, hypers)
    said = memory.nbytes(abstract_run(assembled))
    words = lambda leaf: jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
    assert said == sum(words(leaf).nbytes for leaf in jax.tree.leaves(run))


def test_a_replay_that_cannot_fit_is_refused_with_what_to_lower():
    abstract = abstract_run(assemble(tiny.config(replay_size=10**12)))
    with pytest.raises(ConfigError, match=r"does not fit.*lower replay_size"):
        memory.check_fits(abstract, replay=abstract.learner.replay)


def test_a_run_needs_of_each_device_its_share(monkeypatch):
    abstract = abstract_run(assemble(tiny.config()))
    monkeypatch.setattr(memory, "free_bytes", lambda: memory.nbytes(abstract) // 2)
    devices = np.array([SimpleNamespace(platform="gpu")] * 4).reshape(4, 1)
    spread = SimpleNamespace(devices=devices, size=4)
    memory.check_fits(abstract, replay=abstract.learner.replay, mesh=spread)
    devices[0, 0].platform = "cpu"  # virtual devices, which share the machine's
    with pytest.raises(ConfigError, match="does not fit"):
        memory.check_fits(abstract, replay=abstract.learner.replay, mesh=spread)


def test_free_memory_is_a_plausible_number_here():
    assert 2**20 < memory.free_bytes() < 2**50
