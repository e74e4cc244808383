"""Rollouts of environments on the host: whole ones, by the newest policy, and the same bits again after a stop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl.clock import Clock
from softrl.numpy_policy import NumpyPolicy
from softrl.training import hosted
from softrl.training.assemble import assemble
from softrl.training.hosted_device import abstract_state
from softrl.types import Transition
from tests import tiny

pytestmark = pytest.mark.usefixtures("compiled_once")

SIZES = {
    "env": "gym/InvertedPendulum-v5",
    "backend": "sync",
    "num_envs": 2,
    "episode_length": 20,
    "updates_per_step": 1,
    "learning_starts": 0,
    "horizon": 5,
    "minibatches": 2,
    "train_freq": 5,
    "overlap": False,
    "chunk_steps": 10,
    "eval_every": 40,
    "eval_episodes": 1,
    "steps": 80,
}


def config(**changes) -> softrl.Config:
    return tiny.config("policy-gradient", **{**SIZES, **changes})


def numbers(record: dict) -> dict:
    return {name: value for name, value in record.items() if name != "timing"}


def test_a_run_grown_in_its_directory_is_the_one_that_never_stopped(tmp_path):
    straight = softrl.train(config(steps=160))
    softrl.train(config(steps=80), out=tmp_path / "run")
    grown = softrl.train(config(steps=160), out=tmp_path / "run")
    assert numbers(grown.metrics[-1]) == numbers(straight.metrics[-1])
    assert grown.metrics[-1]["updates"] == 160 // 2 // 5
    assert tiny.same_bits(grown.state.learner, straight.state.learner)


def made(**changes):
    """A hosted run that is compiled but not started, and its hyperparameters."""
    assembled = assemble(config(**changes))
    hypers = jax.tree.map(lambda x: jnp.float32([x]), assembled.hypers)
    return hosted.compile_hosted(assembled, abstract_state(assembled), hypers), hypers


def test_environments_that_begin_anew_leave_the_last_rollout_as_it_was_and_go_on():
    """Where there is no snapshot to resume from: nothing of a rollout that was learnt from is joined to the next."""
    loop, hypers = made(env="gym/Pendulum-v1", episode_length=200)
    run, _ = hosted.chunk(loop, hosted.started(loop, jax.random.key(0, impl="threefry2x32")[None], hypers), hypers)
    before = jax.tree.map(np.array, run.learner.replay)
    loop.at = None  # as in another process
    again = hosted._rejoined(loop, run, 10)
    assert tiny.same_bits(again.learner.replay, before)
    assert again.rollout.episode_length.tolist() == [[0, 0]] != run.rollout.episode_length.tolist()
    loop.at = None
    run, info = hosted.chunk(loop, run, hypers)
    assert int(run.clock.update) == 4 and float(np.squeeze(info.learn.finite)) == 1.0


def test_every_rollout_is_by_one_policy_the_newest():
    loop, hypers = made(chunk_steps=15)
    policies, act = [], NumpyPolicy.act

    def note(policy, obs, noise):
        policies.append(float(policy.arrays["policy/Dense_0/bias"][0]))
        return act(policy, obs, noise)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NumpyPolicy, "act", note)
        run = hosted.started(loop, jax.random.key(0, impl="threefry2x32")[None], hypers)
        run, info = hosted.chunk(loop, run, hypers)
    assert [len(set(policies[begin : begin + 5])) for begin in (0, 5, 10)] == [1, 1, 1]
    assert len(set(policies)) == 3
    assert int(run.clock.update) == 3 and np.isfinite(info.learn.agent.policy_loss)
    assert policies[-1] != float(run.learner.agent.policy.params["params"]["Dense_0"]["bias"][0, 0])


def test_what_the_device_learns_from_is_what_the_host_did():
    """The rollout of the last call, in order: obs, actions, rewards and true successors."""
    loop, hypers = made(chunk_steps=5)
    rows, improve = [], loop.device.improve

    def noted(state, hypers, call):
        rows.append(jax.tree.map(np.array, call))
        return improve(state, hypers, call)

    loop.device = loop.device._replace(improve=noted)
    run = hosted.started(loop, jax.random.key(0, impl="threefry2x32")[None], hypers)
    run, _ = hosted.chunk(loop, run, hypers)
    assert isinstance(run.learner.replay, Transition)
    jax.tree.map(np.testing.assert_array_equal, jax.tree.map(lambda x: x[0], run.learner.replay), rows[-1])


def test_steps_are_added_together_before_one_update():
    loop, hypers = made(chunk_steps=5)
    state = (Clock.start(), *loop.device.start(jax.random.key(0, impl="threefry2x32"), hypers))
    flag, obs = np.zeros((5, 2), bool), np.ones((5, 2, 4), np.float32)
    call = Transition(obs, np.zeros((5, 2, 1), np.float32), np.ones((5, 2), np.float32), flag, flag, obs, ~flag)
    (clock, learner, _), _, info = loop.device.improve(state, hypers, call)
    assert (int(clock.step), int(clock.update), len(info)) == (5, 1, 1)
    assert float(learner.agent.statistics.count[0]) == float(learner.agent.acting.count[0]) == 10.0


@pytest.mark.parametrize(
    "changes",
    [{"overlap": True}, {"train_freq": 10}, {"train_freq": 1}],
)
def test_rollouts_that_another_policy_made_are_refused_before_any_compile(changes):
    with pytest.raises(softrl.ConfigError, match=r"policy-gradient learns .* set overlap False and train_freq 5, got"):
        softrl.train(config(**changes))
