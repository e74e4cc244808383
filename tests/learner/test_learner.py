"""The learner behind plain calls: what it stores, learns from, publishes, and finds again after a kill."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest

import softrl
from softrl.config import flat
from softrl.learner import compute
from softrl.learner.programs import WIDTHS, pieces
from tests.learner.small import ACTIONS, ASYMMETRIC, OBS, learner, rows

pytestmark = pytest.mark.usefixtures("compiled_once")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shared():
    """One learner for what does not mind what others pushed."""
    return learner(demonstration_share=0.5)


def test_no_call_traces_or_compiles_after_the_first(shared, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("traced again")

    for name in ("store", "improve", "act"):
        monkeypatch.setattr(compute, name, refuse)
    monkeypatch.setattr(jax.stages.Lowered, "compile", refuse)
    for count in (1, 2, 15, 16, 17, 255, 256, 257, 700):
        shared.add(rows(count))
        shared.add(rows(count), demonstrations=True)
        shared.act(rows(count)["obs"])
    for updates in (1, 2, 7):
        assert shared.step(updates)["updates"] == updates


def test_pieces_cover_a_push_of_any_length_once():
    for count in range(1, 2 * WIDTHS[-1] + 20):
        parts = list(pieces({"x": np.arange(count)}))
        np.testing.assert_array_equal(np.concatenate([part["x"] for _, part in parts]), np.arange(count))
        assert all(len(part["x"]) <= width and width in WIDTHS for width, part in parts)


def test_how_a_push_is_cut_does_not_matter():
    whole, cut = (learner(demonstration_share=0.5) for _ in range(2))
    batch = rows(40)
    whole.add(batch)
    for begin, end in ((0, 1), (1, 20), (20, 40)):
        cut.add({name: x[begin:end] for name, x in batch.items()})
    replays = [one._state.learner.replay for one in (whole, cut)]
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, *replays)))
    assert whole.stored == cut.stored == 40


@pytest.mark.parametrize("count", [1, 16, 256])
def test_a_caller_may_write_over_its_arrays_as_soon_as_they_are_pushed(count):
    one, other = learner(), learner()
    batch = rows(count)
    one.add({name: x.copy() for name, x in batch.items()})
    other.add(batch)
    for x in batch.values():
        x[...] = 0
    assert one.state_sha256() == other.state_sha256()
    assert other.stored == count


def test_looking_between_push_and_step_changes_nothing():
    watched, alone = learner(), learner()
    for seed in range(6):
        for one in (watched, alone):
            one.add(rows(3, seed))
        watched.policy()
        assert watched.stored == alone.stored == 3 * seed + 3
        watched.state_sha256()
        assert watched.step(2) == alone.step(2)
    assert watched.state_sha256() == alone.state_sha256()


def test_versions_count_updates_and_the_policy_is_a_copy(shared):
    shared.add(rows(8))
    before = shared.policy()
    kept = {name: array.copy() for name, array in before.arrays.items()}
    shared.step(3)
    after = shared.policy()
    assert after.version == before.version + 3
    for name, array in before.arrays.items():
        np.testing.assert_array_equal(array, kept[name])
    assert not np.array_equal(after.arrays["policy/Dense_0/kernel"], kept["policy/Dense_0/kernel"])
    assert set(kept) >= {"policy/Dense_0/kernel", "policy/Dense_1/bias", "statistics/mean", "statistics/variance"}


def test_the_mode_is_one_action_and_draws_differ(shared):
    obs = rows(5)["obs"]
    np.testing.assert_array_equal(shared.act(obs, deterministic=True), shared.act(obs, deterministic=True))
    assert not np.array_equal(shared.act(obs), shared.act(obs))
    assert shared.act(obs).shape == (5, ACTIONS)
    assert shared.act(obs[0]).shape == (ACTIONS,)
    np.testing.assert_allclose(
        shared.act(obs[0], deterministic=True), shared.act(obs, deterministic=True)[0], atol=1e-6
    )


def test_before_learning_starts_nothing_is_learnt_and_actions_are_uniform():
    one = learner(learning_starts=20, demonstration_share=0.5)
    one.add(rows(10))
    assert one.step(5) == {"updates": 0.0, "version": 0.0, "waiting_for": 10.0}
    drawn = one.act(rows(256)["obs"])
    assert np.abs(drawn).max() > 0.95  # the untrained policy itself stays near zero
    one.add(rows(10), demonstrations=True)
    assert one.step(5)["updates"] == 5.0
    assert (one.stored, one.demonstrations, one.version) == (10, 10, 5)


def test_counters_may_be_read_while_another_thread_learns():
    """A step donates the state: read without waiting for it, a counter would be of a deleted buffer."""
    one = learner()
    one.add(rows(64))
    with ThreadPoolExecutor(1) as pool:
        steps = pool.submit(lambda: [one.step(1) for _ in range(100)])
        while not steps.done():
            assert one.stored == 64 and one.demonstrations == 0 and one.version <= 100
        steps.result()
    assert one.version == 100


def test_demonstrations_without_a_buffer_are_refused():
    one = learner()
    with pytest.raises(softrl.ConfigError, match="demonstration_share"):
        one.add(rows(4), demonstrations=True)
    assert one.stored == 0


@pytest.mark.slow
def test_the_critic_alone_sees_privileged_observations():
    one = learner(ASYMMETRIC)
    one.add(rows(30, obs=ASYMMETRIC))
    one.step(5)
    state = rows(3, seed=1, obs=ASYMMETRIC)["obs"]
    changed = {**state, "privileged_state": state["privileged_state"] + 5.0}
    np.testing.assert_array_equal(one.act(state, deterministic=True), one.act(changed, deterministic=True))
    without = {"state": state["state"]}
    np.testing.assert_array_equal(one.act(state, deterministic=True), one.act(without, deterministic=True))
    assert one.policy().arrays["policy/Dense_0/kernel"].shape[0] == OBS
    critic = one._state.learner.agent.critic.params["params"]["Dense_0"]["kernel"]
    assert critic.shape[1] == OBS + 2 + ACTIONS


@pytest.mark.slow
def test_a_learner_learns_the_best_action_of_a_one_step_problem():
    one = learner(replay_capacity=1024, width=32, policy_lr=3e-3, critic_lr=3e-3, temperature=0.01)
    batch = rows(1024)
    batch["obs"] = batch["next_obs"] = np.zeros((1024, OBS), np.float32)
    batch["reward"] = -np.square(batch["action"] - 0.5).sum(axis=1)
    batch["terminated"] = np.ones(1024, bool)
    one.add(batch)
    one.step(2000)
    mode = one.act(batch["obs"][0], deterministic=True)
    assert np.abs(mode - 0.5).max() < 0.15  # actions are ± 1, and the critic has seen a thousand of them


@pytest.mark.parametrize("exponent", [0.0, pytest.param(0.6, marks=pytest.mark.slow)])
def test_a_learner_goes_on_from_its_directory_to_the_bit(tmp_path, exponent):
    def drive(one, begin, end):
        for step in range(begin, end):
            one.add(rows(3, seed=step), demonstrations=step % 4 == 0)
            one.act(rows(2, seed=step)["obs"])
            one.step(2)

    with learner(dir=tmp_path / "a", demonstration_share=0.5, priority_exponent=exponent) as one:
        drive(one, 0, 6)
        assert one.save({"pushes": 6}) == 12
        drive(one, 6, 12)
        straight = one.state_sha256()
        assert one.restore() == 12
        drive(one, 6, 12)
        assert one.state_sha256() == straight
    with learner(dir=tmp_path / "a", demonstration_share=0.5, priority_exponent=exponent) as again:
        assert (again.version, again.extra) == (12, {"pushes": 6})
        drive(again, 6, 12)
        assert again.state_sha256() == straight


def test_a_directory_of_another_learner_is_refused(tmp_path):
    with learner(dir=tmp_path):
        pass
    with pytest.raises(softrl.ConfigError, match="width"):
        learner(dir=tmp_path, width=16)
    with learner(dir=tmp_path), pytest.raises(softrl.CheckpointError, match="in use"):
        learner(dir=tmp_path)


@pytest.mark.parametrize("updates", [0, -1, 1.0, True, "1"])
def test_a_number_of_updates_that_is_none_is_refused(shared, updates):
    before = shared.state_sha256()
    with pytest.raises(softrl.ConfigError, match="updates"):
        shared.step(updates)
    assert shared.state_sha256() == before


def test_adjusted_numbers_count_from_the_next_update_on(shared):
    shared.add(rows(40))
    shared.add(rows(40), demonstrations=True)
    before = shared.policy().arrays["policy/Dense_0/kernel"]
    with pytest.raises(softrl.ConfigError, match="unknown number 'width'"):
        shared.adjust(width=4)
    with pytest.raises(softrl.ConfigError, match="policy_lr must be in"):
        shared.adjust(policy_lr=-1.0)
    shared.adjust(policy_lr=0.0)
    shared.step(3)
    np.testing.assert_array_equal(shared.policy().arrays["policy/Dense_0/kernel"], before)
    shared.adjust(policy_lr=3e-4)
    shared.step(3)
    assert (shared.policy().arrays["policy/Dense_0/kernel"] != before).any()


def test_a_target_given_as_a_width_can_be_adjusted_as_an_entropy():
    with learner(target_sigma=0.2) as one:
        one.adjust(target_entropy=-3.0)
        assert float(flat(one._hypers)["target_entropy"]) == -3.0


def test_a_directory_from_before_a_setting_was_there_goes_on(tmp_path):
    with learner(dir=tmp_path) as one:
        one.add(rows(5))
        one.save()
    path = tmp_path / "config.json"
    written = json.loads(path.read_text())
    del written["learner"]["agent"]["policy_widths"]
    path.write_text(json.dumps(written))
    with learner(dir=tmp_path) as again:
        assert again.stored == 5


def test_saving_needs_a_directory(shared):
    with pytest.raises(softrl.ConfigError, match="dir="):
        shared.save()


ACTOR = """
import sys
from tests.learner.small import learner, rows
one = learner(dir=sys.argv[1])
print("version", one.version, one.stored, flush=True)
for step in range(one.stored // 3, 10_000):
    print("add", flush=True)
    one.add(rows(3, seed=step))
    print("step", flush=True)
    one.step(2)
    print("save", flush=True)
    print("saved", one.save(), one.state_sha256(), flush=True)
"""


def killed_in(directory, what, nth, environment) -> tuple[int, int, str]:
    """Starts an actor loop and kills it as it enters its n-th `what`. Returns: first version, last saved, its hash."""
    command = [sys.executable, "-c", ACTOR, str(directory)]
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    first, saved, digest, seen = None, 0, "", 0
    for line in child.stdout:
        words = line.split()
        if words[0] == "version":
            first = int(words[1])
        elif words[0] == "saved":
            saved, digest = int(words[1]), words[2]
        seen += words[0] == what
        if seen == nth:
            os.kill(child.pid, signal.SIGKILL)
            break
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    return first, saved, digest


def found(directory) -> tuple[int, str]:
    with learner(dir=directory) as one:
        return one.version, one.state_sha256()


@pytest.mark.parametrize("what", ["save"])
def test_killed_it_resumes_at_the_last_saved_version(tmp_path, what, user_environment):
    _, saved, digest = killed_in(tmp_path, what, 3, user_environment)
    version, state = found(tmp_path)
    # The kill may come after the save became durable and before it was said.
    assert version in (saved, saved + 2)
    assert state == digest or version == saved + 2


@pytest.mark.slow
@pytest.mark.parametrize("what", ["add", "step", "save"])
def test_versions_only_grow_over_kills(tmp_path, what, user_environment):
    last = 0
    for nth in (2, 3, 5, 4):
        first, saved, _ = killed_in(tmp_path, what, nth, user_environment)
        assert first >= last
        last = max(first, saved)
        version, _ = found(tmp_path)
        assert version in (last, last + 2)
        last = version
