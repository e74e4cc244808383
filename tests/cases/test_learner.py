"""What actor loops push and ask: lists, integers and roundings are taken for what they are."""

import collections

import jax
import numpy as np
import pytest
from gymnasium.spaces import MultiBinary

import softrl
from softrl.agents.spaces import spec_of
from softrl.experience.batches import checked_obs, checked_rows

INTEGERS = jax.ShapeDtypeStruct((2,), np.int64)
SPEC = spec_of({"p": np.zeros(2, np.float64), "q": INTEGERS}, 1)


def rows(action=0.0, **obs):
    seen = {"p": np.zeros((1, 2)), "q": np.zeros((1, 2), np.int64), **obs}
    flags = {"reward": np.zeros(1), "terminated": np.zeros(1, bool)}
    return {"obs": seen, "next_obs": seen, "action": np.full((1, 1), action, np.float32), **flags}


def test_an_action_one_rounding_above_1_is_taken_as_1():
    above = np.nextafter(np.float32(1), np.float32(2))
    for sign in (1, -1):
        np.testing.assert_array_equal(checked_rows(SPEC, rows(sign * above)).action, sign)
    with pytest.raises(softrl.BatchError, match=r"got 1\.00001"):
        checked_rows(SPEC, rows(1.00001))


def test_integers_of_any_width_are_stored_in_32_bits_or_refused():
    checked = checked_rows(SPEC, rows(q=np.int16([[1, -2]])))
    assert checked.obs["q"].dtype == np.int32
    np.testing.assert_array_equal(checked.obs["q"], [[1, -2]])
    with pytest.raises(softrl.BatchError, match="numbers that int32 can hold, got 0 to 4294967296"):
        checked_rows(SPEC, rows(q=np.int64([[0, 2**32]])))


def test_lists_and_other_mappings_are_observations_too():
    arrays, single = checked_obs(SPEC, {"p": np.float32([0, 1]), "q": np.int64([2, 3])})
    assert single
    for other in (
        {"p": [0, 1], "q": [2, 3]},
        collections.OrderedDict(q=[2, 3], p=[0.0, 1.0]),
        collections.UserDict(p=(0.0, 1.0), q=np.int64([2, 3])),
    ):
        listed, single = checked_obs(SPEC, other)
        assert single
        jax.tree.map(np.testing.assert_array_equal, listed, arrays)
    batch, single = checked_obs(spec_of(np.zeros(2), 1), [[0.0, 1.0], [2.0, 3.0]])
    assert (single, batch.shape) == (False, (2, 2))


def test_lists_are_taken_where_only_the_critic_sees_the_rest():
    spec = spec_of({"state": np.zeros(2), "privileged_state": np.zeros(3)}, 1)
    for seen, lead in (([1.0, 2.0], 1), ([[1.0, 2.0]] * 4, 4)):
        checked, _ = checked_obs(spec, {"state": seen})
        assert (checked["state"].shape, checked["privileged_state"].shape) == ((lead, 2), (lead, 3))


def test_a_row_of_switches_is_not_taken_for_one_of_n():
    with pytest.raises(softrl.ConfigError, match="action_spec must be one row of A floating-point numbers"):
        spec_of(np.zeros(2), MultiBinary(4))
