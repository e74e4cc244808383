"""Members: a sweep's runs are the solo runs, whichever way they share a program."""

from functools import partial

import jax
import numpy as np
import pytest

from softrl.training import members
from tests import tiny

CHUNKS = 1


@pytest.fixture(scope="module")
def solo():
    programs = tiny.made(tiny.config())
    return [tiny.trained(tiny.config(seed=seed), CHUNKS, programs=programs).run for seed in (0, 1, 2)]


def numbers(run):
    return jax.tree.map(np.asarray, run.learner._replace(key=()))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["sequential", "vmap"])
def test_a_member_learns_what_a_solo_run_of_its_seed_learns(solo, how):
    """RunPrograms of another width round otherwise, so the last bits may differ, and learning makes them grow."""
    together = tiny.trained(tiny.config(seeds=3), CHUNKS, how=how).run
    assert int(together.clock.step) == int(solo[0].clock.step)
    for index, alone in enumerate(solo):
        close = partial(np.testing.assert_allclose, rtol=2e-3, atol=2e-4)
        jax.tree.map(close, tiny.member(numbers(together), index), tiny.member(numbers(alone), 0))


def test_seeds_differ(solo):
    first, second = (jax.tree.leaves(run.learner.agent.policy.params) for run in solo[:2])
    assert all(not np.array_equal(a, b) for a, b in zip(first, second, strict=True) if np.asarray(a).any())


@pytest.mark.parametrize(
    ("member_map", "count", "platform", "expected"),
    [
        ("auto", 8, "cpu", "sequential"),
        ("auto", 8, "gpu", "vmap"),
        ("auto", 1, "gpu", "sequential"),
        ("vmap", 8, "cpu", "vmap"),
        ("sequential", 8, "tpu", "sequential"),
    ],
)
def test_members_share_a_program_in_the_way_that_is_fast_on_the_device(member_map, count, platform, expected):
    assert members.scheme(member_map, count, platform) == expected
