"""The flat ring, against a plain list; demonstrations and priorities on top of it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softrl.clock import Counter
from softrl.replay import ReplayHypers, add_demonstrations, flat, mixed, priorities
from softrl.types import Continuous, Hypers, Spec, Transition
from tests import tiny

SPEC = Spec(jax.ShapeDtypeStruct((1,), jnp.float32), Continuous(1))
CAPACITY, BATCH, WIDTH = 7, 32, 5


class Gamma(NamedTuple):
    gamma: float = 0.9


HYPERS = jax.tree.map(jnp.float32, Hypers(Gamma(), ReplayHypers()))
KEY = jax.random.key(0)


def rows(numbers, valid=None) -> Transition:
    """Rows that carry their number everywhere; every third terminates."""
    number = jnp.asarray(numbers, jnp.float32)
    valid = jnp.ones(len(numbers), bool) if valid is None else jnp.asarray(valid)
    ended = jnp.asarray([n % 3 == 0 for n in numbers])
    blank = jnp.zeros(len(numbers), bool)
    return Transition(number[:, None], number[:, None] / 100, number, ended, blank, number[:, None] + 0.5, valid)


@pytest.fixture(scope="module")
def ring():
    """A ring and its compiled functions."""
    replay = flat(SPEC, capacity=CAPACITY, batch_size=BATCH)
    add = tiny.compiled(replay.add, replay.init(), Counter.of(0), rows(range(WIDTH)))
    sample = tiny.compiled(replay.sample, replay.init(), Counter.of(0), KEY, HYPERS)
    return replay, add, sample


@settings(max_examples=25)
@given(st.lists(st.lists(st.booleans(), min_size=WIDTH, max_size=WIDTH), min_size=1, max_size=6))
def test_the_ring_holds_the_last_rows_of_a_list(ring, pushes):
    replay, add, _ = ring
    state, model, number = replay.init(), [], 0
    for valid in pushes:
        numbers = range(number, number + WIDTH)
        state = add(state, Counter.of(len(model)), rows(numbers, valid))
        model += [n for n, ok in zip(numbers, valid, strict=True) if ok]
        number += WIDTH
    held = {int(x) for x in np.asarray(state.reward)[: min(len(model), CAPACITY)]}
    assert held == set(model[-CAPACITY:])


def test_a_batch_holds_whole_rows_and_death_has_no_future(ring):
    replay, add, sample = ring
    state = add(replay.init(), Counter.of(0), rows(range(1, 6)))
    batch = jax.tree.map(np.asarray, sample(state, Counter.of(5), KEY, HYPERS))
    np.testing.assert_array_equal(batch.obs[:, 0], batch.reward)
    np.testing.assert_array_equal(batch.next_obs[:, 0], batch.reward + 0.5)
    np.testing.assert_allclose(batch.action[:, 0], batch.reward / 100, rtol=1e-6)
    np.testing.assert_array_equal(batch.discount, np.where(batch.reward % 3 == 0, 0.0, np.float32(0.9)))
    assert set(batch.reward) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert (batch.weight == 1.0).all()


def test_an_empty_ring_gives_rows_that_do_not_count(ring):
    replay, _, sample = ring
    assert not np.asarray(sample(replay.init(), Counter.of(0), KEY, HYPERS).weight).any()


def test_the_count_goes_on_beyond_32_bits(ring):
    replay, add, sample = ring
    state, count = replay.init(), 2**32 - 3
    for begin in range(0, 15, 5):
        state = add(state, Counter.of(count), rows(range(begin, begin + 5)))
        count += 5
    assert set(np.asarray(sample(state, Counter.of(count), KEY, HYPERS).reward)) == set(range(8, 15))


def test_a_push_longer_than_the_ring_keeps_its_end():
    replay = flat(SPEC, capacity=3, batch_size=4)
    state = jax.jit(replay.add)(replay.init(), Counter.of(2), rows(range(8)))
    assert set(np.asarray(state.reward)) == {5.0, 6.0, 7.0}


@pytest.mark.parametrize(("experience", "shown"), [(0, (0, 8)), (5, (6, 2))])
def test_a_batch_has_its_share_of_demonstrations_or_all_it_can_get(experience, shown):
    rings = [flat(SPEC, capacity=8, batch_size=8) for _ in range(2)]
    replay = mixed(*rings, rows=2, capacity=8)
    state = add_demonstrations(rings[1], replay.init(), rows([100, 101, 102, 103]))
    if experience:
        state = replay.add(state, Counter.of(0), rows(range(1, 1 + experience)))
    batch = replay.sample(state, Counter.of(experience), KEY, HYPERS)
    ours = int(np.sum(np.asarray(batch.reward) < 100))
    assert (ours, 8 - ours) == shown
    assert ((np.asarray(batch.index) >= 8) == (np.asarray(batch.reward) >= 100)).all()
    assert (np.asarray(batch.weight) == 1.0).all()


@pytest.mark.parametrize("exponent", [0.0, 0.6])
def test_a_share_of_a_batch_is_drawn_from_all_of_a_ring(exponent):
    """Draws by priority are one from each stratum of a ring: the first half of them knows half of it."""
    rings = [flat(SPEC, capacity=32, batch_size=16, priority_exponent=exponent) for _ in range(2)]
    replay, many = mixed(*rings, rows=8, capacity=32), rows(range(32))
    state = add_demonstrations(rings[1], replay.add(replay.init(), Counter.of(0), many), many)
    sample = jax.jit(lambda key: replay.sample(state, Counter.of(32), key, HYPERS).index)
    seen = {int(index) for seed in range(60) for index in sample(jax.random.key(seed))}
    assert seen == set(range(64))


def test_demonstrations_are_drawn_evenly_however_recent_experience_must_be():
    rings = [flat(SPEC, capacity=32, batch_size=512) for _ in range(2)]
    replay = mixed(*rings, rows=256, capacity=32)
    state = add_demonstrations(rings[1], replay.add(replay.init(), Counter.of(0), rows(range(32))), rows(range(32)))
    recent = jax.tree.map(jnp.float32, Hypers(Gamma(), ReplayHypers(4.0, 0.02)))
    index = np.asarray(replay.sample(state, Counter.of(32), KEY, recent).index)
    late = [np.mean(part % 32 >= 28) for part in (index[:256], index[256:])]
    assert late[0] > 0.6 and late[1] < 0.25, late  # of 256 even draws an eighth is of the last four, ± 2 %


def test_without_demonstrations_experience_fills_the_batch():
    rings = [flat(SPEC, capacity=8, batch_size=8) for _ in range(2)]
    replay = mixed(*rings, rows=8, capacity=8)
    state = replay.add(replay.init(), Counter.of(0), rows([1, 2]))
    batch = replay.sample(state, Counter.of(2), KEY, HYPERS)
    assert set(np.asarray(batch.reward)) == {1.0, 2.0}


def test_rows_are_drawn_in_proportion_to_their_priorities():
    weights = np.asarray([1.0, 0.5, 4.0, 2.0, 0.25], np.float32)
    tree = priorities.put(priorities.init(5), jnp.arange(5), jnp.asarray(weights), jnp.ones(5, bool))
    row, chance = priorities.draw(tree, jnp.full(1000, 0.5))
    drawn = np.bincount(np.asarray(row), minlength=5) / 1000
    np.testing.assert_allclose(drawn, weights / weights.sum(), atol=2e-3)  # one draw from each thousandth: exact to one
    np.testing.assert_allclose(chance, (weights / weights.sum())[np.asarray(row)], rtol=1e-5)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0.125, 8.0, width=32), st.booleans()), min_size=6, max_size=6))
def test_sums_are_those_of_the_leaves_whatever_is_written(writes):
    row, value, keep = (jnp.asarray(column) for column in zip(*writes, strict=True))
    tree = priorities.put(priorities.init(5), row, value.astype(jnp.float32), keep)
    model = np.zeros(8, np.float32)
    for index, weight, kept in writes:
        model[index] = max(model[index], weight) if kept else model[index]
    node = np.asarray(tree.node)
    np.testing.assert_array_equal(node[8:], model)
    np.testing.assert_allclose(node[1], model.sum(), rtol=1e-6)
    np.testing.assert_allclose(node[1:8], node[2:16:2] + node[3:16:2], rtol=1e-6)


def test_a_row_learnt_from_loses_priority_and_a_new_one_has_the_greatest():
    replay = flat(SPEC, capacity=4, batch_size=64, priority_exponent=1.0)
    state = replay.add(replay.init(), Counter.of(0), rows([1, 2, 3]))
    state = replay.feedback(state, jnp.asarray([0, 1, 2, 9, 1]), jnp.asarray([0.0, 5.0, jnp.nan, 7.0, 1.0]))
    state = replay.add(state, Counter.of(3), rows([4]))
    leaves = np.asarray(state.priorities.node)[4:8]
    np.testing.assert_allclose(leaves, [0.001, 5.001, 1.0, 5.001], rtol=1e-5)
    batch = replay.sample(state, Counter.of(4), KEY, HYPERS)
    share = leaves / leaves.sum()
    weight = (4 * share[np.asarray(batch.index)]) ** -0.4
    np.testing.assert_allclose(batch.weight, weight / weight.max(), rtol=1e-4)
