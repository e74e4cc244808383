"""The compiled step must lower for accelerators that this machine does not have.

Every algorithm's does in tests/test_contracts.py, physics' alone in tests/envs/test_brax.py; here both in one program.
"""

from functools import partial

import jax
import pytest

from softrl.envs.brax import BACKENDS
from softrl.training import members
from softrl.training.assemble import assemble, member_hypers
from softrl.training.programs import abstract_run
from tests import tiny


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_chunk_that_does_not_lower_for_tpu_and_cuda_trains_on_cpus_only(backend):
    assembled = assemble(tiny.config(env="brax/inverted_pendulum", backend=backend, seeds=2))
    step = jax.jit(partial(members.chunk_members, assembled.program, length=2, how="vmap"), donate_argnums=0)
    run, hypers = abstract_run(assembled), jax.eval_shape(lambda: member_hypers(assembled))
    exported = jax.export.export(step, platforms=("tpu", "cuda"))(run, hypers)
    assert exported.platforms == ("tpu", "cuda")
