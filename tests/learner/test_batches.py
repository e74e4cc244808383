"""A malformed push is refused in words, and leaves no trace."""

import jax
import numpy as np
import pytest
from gymnasium.spaces import Box
from hypothesis import given, settings
from hypothesis import strategies as st

import softrl
from softrl.agents.spaces import spec_of
from softrl.envs import boxes
from softrl.errors import BatchError, ConfigError
from softrl.experience.batches import checked_obs, checked_rows
from tests.learner.small import ACTIONS, ASYMMETRIC, OBS, learner, rows

pytestmark = pytest.mark.usefixtures("compiled_once")

SPEC = spec_of(ASYMMETRIC, ACTIONS)
NAN, INF = np.float32(np.nan), np.float32(np.inf)


def without(name):
    return {key: value for key, value in rows(obs=ASYMMETRIC).items() if key != name}


def put(name, value):
    """A good batch with one entry replaced; `obs.state` reaches into the dictionary."""
    batch = rows(obs=ASYMMETRIC)
    outer, _, inner = name.partition(".")
    if inner:
        batch[outer] = {**batch[outer], inner: value}
    else:
        batch[outer] = value
    return batch


def spoilt(name, value, row=2):
    """A good batch with one number replaced."""
    batch = rows(obs=ASYMMETRIC)
    outer, _, inner = name.partition(".")
    array = batch[outer][inner] if inner else batch[outer]
    array[row] = value
    return batch


def dropped(name, entry):
    batch = rows(obs=ASYMMETRIC)
    batch[name] = {key: value for key, value in batch[name].items() if key != entry}
    return batch


NUMBERS = ("obs.state", "obs.privileged_state", "next_obs.state", "next_obs.privileged_state", "action", "reward")
WIDTH = {"obs.state": OBS, "obs.privileged_state": OBS + 2, "action": ACTIONS, "reward": None}
ARRAYS = (*NUMBERS, "terminated")


def good(name):
    batch = rows(obs=ASYMMETRIC)
    outer, _, inner = name.partition(".")
    return batch[outer][inner] if inner else batch[outer]


MALFORMED = {
    "no mapping": ([1, 2, 3], "transitions"),
    "nothing": (None, "transitions"),
    "empty mapping": ({}, "transitions.obs"),
    "a string": ("obs", "transitions"),
    "an unknown key": ({**rows(obs=ASYMMETRIC), "rewards": np.zeros(4, np.float32)}, "transitions.rewards"),
    "a key of another kind": ({**rows(obs=ASYMMETRIC), 7: np.zeros(4, np.float32)}, "transitions.7"),
    "dones instead of terminated": (
        {**without("terminated"), "dones": np.zeros(4, bool)},
        "transitions.dones",
    ),
    "an unknown entry of the observation": (put("obs.camera", np.zeros((4, 2), np.float32)), "obs.camera"),
    "a missing entry of the observation": (dropped("obs", "privileged_state"), "obs.privileged_state"),
    "a missing entry of the successor": (dropped("next_obs", "state"), "next_obs.state"),
    "one array for a dictionary": (put("obs", np.zeros((4, OBS), np.float32)), "obs"),
    "a dictionary for one array": (put("reward", {"reward": np.zeros(4, np.float32)}), "reward"),
    "an action above 1": (spoilt("action", 1.001), "action"),
    "an action below −1": (spoilt("action", -2.0), "action"),
    "a truncated that is no flag": (put("truncated", np.zeros(4, np.float32)), "truncated"),
    "a truncated of another length": (put("truncated", np.zeros(3, bool)), "truncated"),
    "a truncated column": (put("truncated", np.zeros((4, 1), bool)), "truncated"),
    "flags as 0 and 1": (put("terminated", np.zeros(4, np.int32)), "terminated"),
    "flags as floats": (put("terminated", np.zeros(4, np.float32)), "terminated"),
    "a reward beyond float32": (put("reward", np.full(4, 1e300)), "reward"),
    "no rows": (
        {
            "obs": {name: np.zeros((0, *x.shape), np.float32) for name, x in ASYMMETRIC.items()},
            "next_obs": {name: np.zeros((0, *x.shape), np.float32) for name, x in ASYMMETRIC.items()},
            "action": np.zeros((0, ACTIONS), np.float32),
            "reward": np.zeros(0, np.float32),
            "terminated": np.zeros(0, bool),
        },
        "transitions",
    ),
    **{f"no {name}": (without(name), f"transitions.{name}") for name in rows()},
    **{f"{value} in {name}": (spoilt(name, value), name) for name in NUMBERS for value in (NAN, INF, -INF)},
    **{f"{name} one row short": (put(name, good(name)[:-1]), None) for name in ARRAYS},
    **{f"{name} with a rank too many": (put(name, good(name)[:, None]), name) for name in ARRAYS},
    **{f"{name} with a rank too few": (put(name, good(name)[0]), name) for name in ARRAYS},
    **{f"{name} as integers": (put(name, np.zeros(good(name).shape, np.int64)), name) for name in ARRAYS},
    **{f"{name} as complex numbers": (put(name, np.zeros(good(name).shape, complex)), name) for name in ARRAYS},
    **{f"{name} as words": (put(name, np.full(good(name).shape, "x")), name) for name in ARRAYS},
    **{f"{name} as objects": (put(name, np.full(good(name).shape, None)), name) for name in ARRAYS},
    **{f"{name} ragged": (put(name, [[1.0], [1.0, 2.0], 3.0, 4.0]), name) for name in ARRAYS},
    **{
        f"{name} one number too wide": (put(name, np.zeros((4, width + 1), np.float32)), name)
        for name, width in WIDTH.items()
        if width
    },
}


def test_actions_come_within_the_robots_own_bounds_and_are_learnt_from_within_ours():
    spec = spec_of(np.zeros(OBS, np.float32), Box(np.float32([-2.0, 1000.0, 3.0]), np.float32([2.0, 1001.0, 3.0])))
    pushed = rows(3) | {"action": np.float32([[-2.0, 1000.0, 3.0], [0.0, 1000.5, 3.0], [2.000001, 1001.0, 3.0]])}
    np.testing.assert_allclose(checked_rows(spec, pushed).action, [[-1, -1, 0], [0, 0, 0], [1, 1, 0]], atol=1e-6)
    np.testing.assert_array_equal(boxes.own(spec.action, np.float32([[1.0, 1.0, 0.0]])), [[2.0, 1001.0, 3.0]])
    pushed["action"][1, 0] = 2.1
    with pytest.raises(BatchError, match="numbers from") as caught:
        checked_rows(spec, pushed)
    assert list(caught.value.rows) == [1]


@pytest.mark.parametrize(
    "action",
    [
        softrl.Continuous(2, (1.0, -1.0), (-1.0, 1.0)),
        softrl.Continuous(2, (-1.0, np.nan), (1.0, 1.0)),
        softrl.Continuous(2, (-1.0, -np.inf), (1.0, 1.0)),
        softrl.Continuous(2, (-1.0,), (1.0, 1.0)),
        softrl.Continuous(0),
        softrl.Discrete(0),
        Box(-np.inf, np.inf, (2,)),
    ],
)
def test_actions_that_cannot_be_are_refused_before_anything_is_compiled(action):
    with pytest.raises(ConfigError, match=r"action_spec: (softrl scales|action needs|an action is)"):
        spec_of(np.zeros(OBS, np.float32), action)


def test_discrete_actions_that_there_are_not_are_refused_with_their_rows():
    spec = softrl.spec_of(jax.ShapeDtypeStruct((1,), "float32"), softrl.Discrete(3))
    rows = {
        "obs": np.zeros((4, 1)),
        "next_obs": np.zeros((4, 1)),
        "reward": np.zeros(4),
        "terminated": np.zeros(4, bool),
    }
    for wrong in (-1, 3):
        with pytest.raises(BatchError, match=rf"whole numbers from 0 to 2.*{wrong}.*rows? 1"):
            checked_rows(spec, rows | {"action": np.array([0, wrong, 2, 1])})


def test_malformed_batches_leave_the_learner_equal_to_one_that_never_saw_them():
    assert len(MALFORMED) >= 60
    abused, spared = (learner(ASYMMETRIC, demonstration_share=0.5) for _ in range(2))
    for number, (name, (batch, field)) in enumerate(MALFORMED.items()):
        if number % 10 == 0:
            for one in (abused, spared):
                one.add(rows(3, seed=number, obs=ASYMMETRIC), demonstrations=number % 20 == 0)
                one.step()
        before = abused.state_sha256()
        with pytest.raises(BatchError) as error:
            abused.add(batch, demonstrations=number % 2 == 0)
        assert field is None or error.value.field == field, f"{name}: {error.value}"
        assert error.value.expected and error.value.got, name
        assert abused.state_sha256() == before, f"{name} changed the learner"
    for one in (abused, spared):
        one.step(3)
    assert abused.state_sha256() == spared.state_sha256()


def test_an_error_names_the_bad_rows_and_no_others():
    batch = rows(6)
    batch["obs"][[1, 4], 0] = np.nan
    with pytest.raises(BatchError) as error:
        checked_rows(spec_of(np.zeros(OBS, np.float32), ACTIONS), batch)
    assert (error.value.field, error.value.rows) == ("obs", (1, 4))
    assert str(error.value) == "obs: expected finite float32 numbers, got nan (rows 1, 4)"


def test_a_list_of_bad_rows_stays_short():
    with pytest.raises(BatchError) as error:
        checked_rows(spec_of(np.zeros(OBS, np.float32), ACTIONS), {**rows(100), "action": np.full((100, ACTIONS), 3.0)})
    assert len(error.value.rows) == 8


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.sampled_from(["obs", "action", "reward", "terminated", "next_obs", "truncated", "masks"]),
        st.one_of(
            st.none(),
            st.floats(),
            st.lists(st.floats(width=32), max_size=4),
            st.lists(st.lists(st.floats(width=32), max_size=4), max_size=4),
            st.lists(st.booleans(), max_size=4),
            st.dictionaries(st.text(max_size=3), st.lists(st.floats(), max_size=2), max_size=2),
        ),
    )
)
def test_whatever_comes_in_is_refused_as_a_batch_error_or_is_a_batch(batch):
    spec = spec_of(np.zeros(OBS, np.float32), ACTIONS)
    try:
        checked = checked_rows(spec, batch)
    except BatchError:
        return
    assert len(checked.reward) >= 1
    assert np.isfinite(checked.obs).all()


def test_wider_floats_are_taken_and_stored_as_float32():
    spec = spec_of(np.zeros(OBS, np.float64), ACTIONS)
    batch = {name: x.astype(np.float64) if x.dtype.kind == "f" else x for name, x in rows().items()}
    checked = checked_rows(spec, batch)
    assert checked.obs.dtype == checked.reward.dtype == np.float32
    np.testing.assert_array_equal(checked.obs, rows()["obs"])


def test_acting_needs_only_what_the_actor_sees():
    obs = {"state": np.ones(OBS, np.float32)}
    checked, single = checked_obs(SPEC, obs)
    assert single
    assert checked["state"].shape == (1, OBS)
    assert checked["privileged_state"].shape == (1, OBS + 2)


@pytest.mark.parametrize(
    "obs",
    [
        {},
        {"privileged_state": np.ones(OBS + 2, np.float32)},
        {"state": np.ones(OBS + 1, np.float32)},
        {"state": np.full(OBS, np.nan, np.float32)},
        {"state": np.ones((0, OBS), np.float32)},
        {"state": np.ones((2, 2, OBS), np.float32)},
        np.ones(OBS, np.float32),
        None,
    ],
)
def test_acting_on_a_malformed_observation_is_refused(obs):
    with pytest.raises(BatchError):
        checked_obs(SPEC, obs)
