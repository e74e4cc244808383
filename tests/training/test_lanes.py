"""Lanes: threads that share out members change how long a sweep takes, and nothing else."""

import jax
import numpy as np
import pytest

from softrl.storage import checkpoint
from softrl.training import lanes
from softrl.training.assemble import assemble
from softrl.training.programs import RunPrograms, compile_programs
from tests import tiny


def of_four_members(cores: int) -> RunPrograms:
    """The programs of four members on a machine of so many cores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes, "cores", lambda: list(range(cores)))
        return compile_programs(assemble(tiny.config(seeds=4)))


@pytest.fixture(scope="module")
def in_two() -> RunPrograms:
    """In two lanes."""
    return of_four_members(2)


def after_two_chunks(programs: RunPrograms):
    run, _ = programs.chunk(programs.init(), programs.hypers)
    return programs.chunk(run, programs.hypers)


def test_members_are_the_same_to_the_bit_in_any_number_of_lanes(in_two):
    alone, told = after_two_chunks(of_four_members(1))
    shared, also_told = after_two_chunks(in_two)
    assert checkpoint.state_sha256(shared) == checkpoint.state_sha256(alone)
    jax.tree.map(np.testing.assert_array_equal, also_told, told)


def test_a_chunk_in_lanes_leaves_no_second_copy_of_its_run(in_two):
    run = in_two.init()
    in_two.chunk(run, in_two.hypers)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(run))


@pytest.mark.parametrize(
    ("how", "members", "cores", "expected"),
    [
        ("sequential", 16, 2, 2),
        ("sequential", 15, 2, 1),
        ("sequential", 6, 4, 3),
        ("sequential", 3, 64, 3),
        ("sequential", 1, 8, 1),
        ("vmap", 16, 8, 1),
    ],
)
def test_no_lane_is_longer_than_another_nor_without_a_core(monkeypatch, how, members, cores, expected):
    monkeypatch.setattr(lanes, "cores", lambda: list(range(cores)))
    assert lanes.count(how, members) == expected


def test_what_fails_in_a_lane_fails_the_chunk(in_two):
    def broken(run, hypers):
        raise RuntimeError("no memory left in a lane")

    with pytest.raises(RuntimeError, match="no memory left in a lane"):
        lanes.side_by_side(broken, 2)(in_two.init(), in_two.hypers)
