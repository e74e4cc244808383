"""Other libraries' batches: what ends with zero value, and what was only cut."""

import numpy as np
import pytest

import softrl
from softrl.learner import ADAPTERS, adapted

T, F = True, False
OBS, NEXT = np.arange(8.0, dtype=np.float32).reshape(4, 2), np.arange(8.0, dtype=np.float32).reshape(4, 2) + 1
ACTION, REWARD = np.zeros((4, 1), np.float32), np.arange(4, dtype=np.float32)
PLURAL = {"observations": OBS, "actions": ACTION, "rewards": REWARD, "next_observations": NEXT}
EPISODE = {"observations": np.concatenate([OBS, NEXT[-1:]]), "actions": ACTION, "rewards": REWARD}

CASES = {
    "hil-serl: a mask of 0 is death": (
        "hil-serl",
        {**PLURAL, "masks": np.float32([1, 1, 0, 1]), "dones": [F, F, T, F]},
        [F, F, T, F],
    ),
    "hil-serl: done with a mask of 1 was cut": (
        "hil-serl",
        {**PLURAL, "masks": np.float32([1, 1, 1, 1]), "dones": [F, F, F, T]},
        [F, F, F, F],
    ),
    "hil-serl: masks alone are enough": ("hil-serl", {**PLURAL, "masks": np.float64([0, 1, 1, 0])}, [T, F, F, T]),
    "lerobot: done is death, truncated is not": (
        "lerobot",
        {
            "state": OBS,
            "action": ACTION,
            "reward": REWARD,
            "next_state": NEXT,
            "done": np.float32([0, 1, 0, 0]),
            "truncated": np.float32([0, 0, 1, 0]),
            "complementary_info": None,
        },
        [F, T, F, F],
    ),
    "sb3: dones are ends of any kind, timeouts take some back": (
        "sb3",
        {**PLURAL, "dones": np.float32([0, 1, 1, 0]), "timeouts": np.float32([0, 0, 1, 0])},
        [F, T, F, F],
    ),
    "d4rl: terminals are deaths, timeouts only checked": (
        "d4rl",
        {**PLURAL, "terminals": [F, T, F, F], "timeouts": [F, F, F, T]},
        [F, T, F, F],
    ),
    "minari: an episode with one observation more": (
        "minari",
        {**EPISODE, "terminations": [F, F, F, T], "truncations": [F, F, F, F], "infos": {}},
        [F, F, F, T],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_flags_have_the_meaning_that_their_library_gives_them(case):
    names, batch, terminated = CASES[case]
    ours = adapted(batch, names)
    np.testing.assert_array_equal(ours["terminated"], terminated)
    assert ours["terminated"].dtype == bool


@pytest.mark.parametrize("case", CASES)
def test_the_rest_arrives_unchanged(case):
    names, batch, _ = CASES[case]
    ours = adapted(batch, names)
    np.testing.assert_array_equal(ours["obs"], OBS)
    np.testing.assert_array_equal(ours["action"], ACTION)
    np.testing.assert_array_equal(ours["reward"], REWARD)
    expected = np.concatenate([OBS[1:], NEXT[-1:]]) if names == "minari" else NEXT
    np.testing.assert_array_equal(ours["next_obs"], expected)


def test_a_file_of_dictionary_observations_is_a_batch(tmp_path):
    arrays = {"actions": ACTION, "rewards": REWARD, "terminals": np.zeros(4, bool)}
    arrays |= {f"{group}/state": x for group, x in (("observations", OBS), ("next_observations", NEXT))}
    np.savez(tmp_path / "rows.npz", **arrays)
    with np.load(tmp_path / "rows.npz") as file:
        found = adapted(file, "d4rl")
    np.testing.assert_array_equal(found["obs"]["state"], OBS)
    np.testing.assert_array_equal(found["next_obs"]["state"], NEXT)
    with pytest.raises(softrl.BatchError, match="each name once"):
        adapted({**arrays, "observations": OBS}, "d4rl")


def test_every_library_has_a_case():
    assert {names for names, _, _ in CASES.values()} == set(ADAPTERS)


def test_rewards_of_a_success_classifier_may_be_whole_numbers():
    ours = adapted({**PLURAL, "rewards": np.array([0, 1, 0, 0]), "masks": np.ones(4)}, "hil-serl")
    assert ours["reward"].dtype == np.float32


@pytest.mark.parametrize(
    ("names", "change", "field"),
    [
        ("sb3", {"dones": np.zeros(4)}, "timeouts"),  # dones alone cannot say what was only cut
        ("hil-serl", {"dones": np.zeros(4)}, "masks"),
        ("hil-serl", {"masks": np.full(4, 0.5)}, "masks"),
        ("hil-serl", {"masks": ["a", "b", "c", "d"]}, "masks"),
        ("sb3", {"dones": np.zeros(4), "timeouts": np.zeros((4, 1))}, "timeouts"),
        ("d4rl", {"terminals": np.zeros(4), "rewords": REWARD}, "rewords"),
    ],
)
def test_errors_speak_the_librarys_words(names, change, field):
    with pytest.raises(softrl.BatchError) as error:
        adapted({**PLURAL, **change}, names)
    assert error.value.field == field


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(softrl.ConfigError, match="did you mean 'hil-serl'"):
        adapted(PLURAL, "hilserl")
