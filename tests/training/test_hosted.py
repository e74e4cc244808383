"""Training on the host: the same bits again, whoever was faster, and from a checkpoint."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl.agents.sac import SACConfig, act_on_host, build
from softrl.training import hosted
from softrl.training.assemble import assemble
from softrl.types import Spec
from tests import tiny

SIZES = {
    "env": "gym/InvertedPendulum-v5",
    "backend": "sync",
    "num_envs": 2,
    "episode_length": 20,
    "updates_per_step": 1,
    "learning_starts": 20,
    "chunk_steps": 10,
    "eval_every": 40,
    "eval_episodes": 1,
    "steps": 80,
}


def config(**changes) -> softrl.Config:
    return tiny.config(**{**SIZES, **changes})


def finished(**changes) -> dict:
    return softrl.train(config(**changes)).metrics[-1]


def numbers(record: dict) -> dict:
    return {name: value for name, value in record.items() if name != "timing"}


@pytest.mark.parametrize("overlap", [True, False])
def test_the_same_seed_gives_the_same_bits_whoever_was_faster(overlap):
    one, two = (finished(overlap=overlap) for _ in range(2))
    assert numbers(one) == numbers(two)
    assert one["updates"] == 31


def test_a_run_grown_in_its_directory_is_the_one_that_never_stopped(tmp_path):
    straight = finished(steps=160)
    softrl.train(config(steps=80), out=tmp_path / "run")
    grown = softrl.train(config(steps=160), out=tmp_path / "run")
    assert numbers(grown.metrics[-1]) == numbers(straight)
    assert len(grown.metrics) == 5
    action = softrl.load(tmp_path / "run").policy(np.zeros(4))
    assert action.shape == (1,)


def test_without_snapshots_a_resumed_run_never_joins_two_episodes(tmp_path):
    pendulum = {"env": "gym/Pendulum-v1", "episode_length": 200}
    softrl.train(config(**pendulum, steps=80), out=tmp_path / "run")
    resumed = softrl.train(config(**pendulum, steps=160), out=tmp_path / "run")
    valid = np.asarray(resumed.state.learner.replay.valid[0])
    np.testing.assert_array_equal(np.flatnonzero(~valid[:80, 0]), [39])  # the newest row when it was stopped
    assert resumed.metrics[-1]["env_steps"] == 160


def test_stored_successors_are_the_environments_own():
    run = softrl.train(config(steps=120, learning_starts=10_000))
    replay = jax.tree.map(lambda x: np.asarray(x)[0], run.state.learner.replay)
    ended = replay.terminated | replay.truncated
    assert ended[:60].any()
    # An episode's first observation is a fresh one, near zero; what follows it moves.
    assert np.abs(replay.obs[1:60][ended[:59]]).max() < 0.011


def test_a_chunk_acts_by_a_policy_that_is_one_step_old_when_overlapping():
    seen = {}
    for overlap in (False, True):
        assembled = assemble(config(overlap=overlap, learning_starts=4, num_envs=1))
        made = hosted.compile_hosted(assembled, jax.tree.map(lambda x: jnp.float32([x]), assembled.hypers))
        policies, act = [], made.act

        def note(policy, obs, noise, policies=policies, act=act):
            policies.append(float(policy.params["params"]["Dense_0"]["bias"][0]))
            return act(policy, obs, noise)

        made.act = note
        keys = jax.random.key(0, impl="threefry2x32")[None]
        hypers = jax.tree.map(lambda x: jnp.float32([x]), assembled.hypers)
        hosted.chunk(made, hosted.started(made, keys, hypers), hypers)
        seen[overlap] = policies
    new, old = seen[False], seen[True]
    assert len(set(new)) == len(new)  # every step by another policy: the newest
    assert old[0] == 0.0  # the first update is not there yet
    assert old[1] == new[0]  # it came from the same data
    assert len(set(old)) == len(old)


@pytest.mark.parametrize("activation", ["relu", "silu", "elu", "gelu", "tanh"])
@pytest.mark.parametrize("layer_norm", [True, False])
def test_the_host_acts_as_the_device_does(activation, layer_norm):
    spec = Spec({"a": jax.ShapeDtypeStruct((3,), jnp.float32), "b": jax.ShapeDtypeStruct((2,), jnp.float32)}, 2, "a")
    agent_config = SACConfig(width=16, activation=activation, layer_norm=layer_norm)
    agent = build(agent_config, spec)
    hypers = jax.tree.map(jnp.float32, softrl.resolve(softrl.SACHypers(), 2))
    state = agent.init(jax.random.key(0), hypers)
    statistics = state.statistics._replace(mean=jax.tree.map(lambda x: x + 0.3, state.statistics.mean))
    policy = agent.policy(state._replace(statistics=statistics))
    draw = np.random.default_rng(0)
    obs = {"a": draw.normal(size=(5, 3)).astype(np.float32), "b": draw.normal(size=(5, 2)).astype(np.float32)}
    device, _, _ = agent.act(policy, (), obs, None)
    host = act_on_host(agent_config, spec, jax.device_get(policy), obs, None)
    np.testing.assert_allclose(host, device, atol=2e-6)  # float32 sums in another order
    assert host.dtype == np.float32
    noise = draw.standard_normal((5, 2), np.float32)
    assert not np.allclose(act_on_host(agent_config, spec, jax.device_get(policy), obs, noise), host)


@pytest.mark.parametrize("change", [{"seeds": 2}, {"data_shards": 2, "replay_shards": 2}])
def test_what_the_host_cannot_do_is_refused_before_any_compile(change):
    with pytest.raises(softrl.ConfigError, match="on the host"):
        softrl.train(config(**change))
