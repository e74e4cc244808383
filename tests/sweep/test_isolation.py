"""A member is a function of its seed and its settings: neither its slot nor its siblings change it by one bit."""

import numpy as np
import pytest

from softrl.config import change
from softrl.run import train
from softrl.sweep import batch, folder
from softrl.sweep.driver import run
from softrl.sweep.spec import load
from softrl.training.assemble import with_members
from softrl.training.programs import for_members
from tests import tiny as one
from tests.sweep import tiny

WIDTH = 4

pytestmark = pytest.mark.usefixtures("compiled_once")


def learners(members: list[dict], how: str = "auto"):
    """What the members of a batch have become after some chunks; `auto` is sequential on a CPU."""
    config = change(load(tiny.spec({})).config, seeds=len(members), member_map=how)
    ready = tiny.prepare(config)
    programs = for_members(ready.programs, with_members(ready.assembled, members))
    state = programs.init()
    for _ in range(config.chunks):
        state, _ = programs.chunk(state, programs.hypers)
    return state.learner


@pytest.mark.parametrize("how", ["auto", pytest.param("vmap", marks=pytest.mark.slow)])
def test_siblings_and_slots_change_no_bit_of_a_member_at_equal_width(how):
    mine = {"seed": 7, "critic_lr": 1e-3}
    calm = learners([mine] + [{"seed": i} for i in range(WIDTH - 1)], how)
    wild = [{"seed": 9, "critic_lr": 1e30}, {"seed": 3, "gamma": 0.5}, mine, {"seed": 7, "policy_lr": 1e-5}]
    assert one.same_bits(one.member(calm, 0), one.member(learners(wild, how), 2))


def test_a_member_of_a_sweep_is_the_solo_run_of_its_command_line(tmp_path):
    words = tiny.spec({"critic_lr": [1e-3, 3e-4]}, seeds=[4, 9])
    rows = run(words, tmp_path).results
    alone = train(change(load(words).config, seed=9, critic_lr=3e-4))
    assert rows[3].final_return == alone.metrics[-1]["eval"]["return_mean"][0]


def test_slots_that_are_left_over_change_nothing_and_are_not_told(tmp_path):
    few, many = (tiny.spec({"critic_lr": np.geomspace(1e-3, 1e-5, 8)[:count].tolist()}) for count in (7, 8))
    padded, whole = run(few, tmp_path / "padded", per_batch=WIDTH), run(many, tmp_path / "whole", per_batch=WIDTH)
    assert [row[1:] for row in padded.results] == [row[1:] for row in whole.results[:7]]
    job = batch.read(folder.batch_directory(tmp_path / "padded", "g0", "b1"))
    assert len(job.members) == 3 and len(batch.slots(job)) == WIDTH


def test_the_order_of_members_does_not_change_them():
    members = [{"seed": 3}, {"seed": 4, "gamma": 0.9}, {"seed": 5, "tau": 0.1}, {"seed": 6}]
    forward, backward = learners(members), learners(members[::-1])
    for slot in range(WIDTH):
        assert one.same_bits(one.member(forward, slot), one.member(backward, WIDTH - 1 - slot))
