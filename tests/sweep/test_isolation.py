"""A member is a function of its seed and its settings: neither its slot nor its siblings change it by one bit."""

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


def learners(members: list[dict], how: str = "sequential"):
    """What the members of a batch have become after some chunks."""
    config = one.config(seeds=len(members), member_map=how)
    ready = tiny.prepare(config)
    programs = for_members(ready.programs, with_members(ready.assembled, members))
    state = programs.init()
    for _ in range(config.chunks):
        state, _ = programs.chunk(state, programs.hypers)
    return state.learner


@pytest.mark.parametrize("how", ["sequential", pytest.param("vmap", marks=pytest.mark.slow)])
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
    words = tiny.spec({"critic_lr": [1e-3, 3e-4, 1e-4]})
    padded, whole = run(words, tmp_path / "padded", per_batch=2), run(words, tmp_path / "whole", per_batch=3)
    assert [row[1:] for row in padded.results] == [row[1:] for row in whole.results]
    job = batch.read(folder.batch_directory(tmp_path / "padded", "g0", "b1"))
    assert len(job.members) == 1 and len(batch.slots(job)) == 2


def test_the_order_of_members_does_not_change_them():
    members = [{"seed": 3}, {"seed": 4, "gamma": 0.9}, {"seed": 5, "tau": 0.1}, {"seed": 6}]
    forward, backward = learners(members), learners(members[::-1])
    for slot in range(WIDTH):
        assert one.same_bits(one.member(forward, slot), one.member(backward, WIDTH - 1 - slot))
