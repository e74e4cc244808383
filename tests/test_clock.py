"""Counters past 2³² and the addresses of random draws."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softrl.clock import Clock, Counter, Purpose, at

EDGES = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1]
naturals = st.sampled_from(EDGES) | st.integers(0, 2**64 - 1)
words = st.sampled_from([0, 1, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)
moduli = st.sampled_from([1, 2, 3, 2**30, 2**31 - 1]) | st.integers(1, 2**31 - 1)


@given(naturals)
def test_a_counter_that_loses_bits_makes_a_long_run_repeat_itself(value):
    assert int(Counter.of(value)) == value


@given(naturals, words)
def test_a_lost_carry_sets_a_run_back_by_four_billion_steps(value, amount):
    assert int(Counter.of(value).plus(amount)) == (value + amount) % 2**64


@given(naturals, words)
def test_a_lost_borrow_reads_replay_rows_that_do_not_exist(value, amount):
    amount = min(amount, value)
    assert int(Counter.of(value).minus(amount)) == value - amount


@given(naturals, moduli)
def test_a_wrong_remainder_writes_the_ring_out_of_order(value, modulus):
    remainder = Counter.of(value).mod(modulus)
    assert int(remainder) == value % modulus
    assert remainder.dtype == np.int32


@pytest.mark.parametrize("modulus", [0, -1, 2**31])
def test_a_modulus_outside_its_range_is_refused_not_wrapped(modulus):
    with pytest.raises(ValueError, match="modulus"):
        Counter.of(1).mod(modulus)


@given(naturals, naturals)
def test_a_wrong_comparison_starts_learning_twice(value, threshold):
    assert bool(Counter.of(value).at_least(threshold)) == (value >= threshold)


@given(naturals, st.integers(0, 2**31 - 1))
def test_a_wrong_cap_samples_rows_that_were_never_written(value, ceiling):
    assert int(Counter.of(value).capped(ceiling)) == min(value, ceiling)


def test_counters_count_the_same_inside_a_program_as_outside():
    step = jax.jit(lambda c: (c.plus(3), c.minus(3), c.mod(7), c.at_least(2**32), c.capped(100)))
    plus, minus, mod, reached, capped = step(Counter.of(2**32 + 1))
    assert (int(plus), int(minus)) == (2**32 + 4, 2**32 - 2)
    assert (int(mod), bool(reached), int(capped)) == ((2**32 + 1) % 7, True, 100)


def test_a_clock_starts_at_nothing_done():
    assert [int(counter) for counter in Clock.start()] == [0, 0]


def test_two_draws_that_share_an_address_would_be_the_same_noise():
    purposes = [value for name, value in vars(Purpose).items() if name.isupper()]
    assert len(set(purposes)) == len(purposes)
    addresses = [
        at(jax.random.key(run), Counter.of(step), purpose)
        for run in (0, 1)
        for step in (0, 1, 2**32, 2**32 + 1)
        for purpose in purposes
    ]
    words = {tuple(np.asarray(jax.random.key_data(key))) for key in addresses}
    assert len(words) == len(addresses)


def test_addresses_hold_whatever_generator_this_process_has_by_default():
    expected = jax.random.key_data(at(jax.random.key(3), Counter.of(12), Purpose.ACT))
    with jax.default_prng_impl("rbg"):
        found = jax.random.key_data(at(jax.random.key(3, impl="threefry2x32"), Counter.of(12), Purpose.ACT))
    np.testing.assert_array_equal(found, expected)


def test_an_address_gives_the_same_draw_whatever_was_drawn_before():
    key, step = jax.random.key(3), Counter.of(12)
    alone = at(key, step, Purpose.ACT)
    at(key, Counter.of(11), Purpose.ACT)
    assert (jax.random.key_data(at(key, step, Purpose.ACT)) == jax.random.key_data(alone)).all()
