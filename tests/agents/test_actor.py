"""Networks from settings: norm, blocks and widths reach every network of every algorithm, or are refused."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl.agents import ALGORITHMS, algorithm
from softrl.agents.actor import policy_layers
from softrl.agents.critics import critic_layers
from softrl.agents.sac import SACConfig, SACHypers, actor, build, resolve
from softrl.agents.soft_q import layers as soft_q_layers
from softrl.clock import Clock
from softrl.config import change, flat
from softrl.errors import ConfigError
from softrl.layers import Dense, LayerNorm, RMSNorm, perceptron, residual
from softrl.training.config import Config, validated
from softrl.types import Batch, Continuous, Spec
from tests import tiny

TWO = Continuous(2)
SPEC = Spec(jax.ShapeDtypeStruct((3,), jnp.float32), TWO)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_norm_that_is_on_by_default_elsewhere_would_change_old_runs(name):
    default = flat(algorithm(name).config())
    assert default["norm"] == ("none" if name == "policy-gradient" else "layer") and default["residual"] is False


@pytest.mark.parametrize("name", ALGORITHMS)
def test_norm_and_blocks_reach_every_network(name):
    config = dataclasses.replace(algorithm(name).config(), width=4, depth=2, activation="silu", norm="rms")
    form = {"activation": "silu", "norm": "rms"}
    blocks = dataclasses.replace(config, residual=True)
    if name == "soft-q":
        assert soft_q_layers.critic_layers(config, TWO) == perceptron([4, 4], 1, **form)
        assert soft_q_layers.critic_layers(blocks, TWO) == residual(4, 2, 1, **form)
        assert soft_q_layers.policy_layers(blocks, TWO) == residual(4, 2, 2, head_scale=0.01, **form)
        return
    assert policy_layers(config, TWO) == perceptron([4, 4], 4, head_scale=0.01, **form)
    assert policy_layers(blocks, TWO) == residual(4, 2, 4, head_scale=0.01, **form)
    spelled = "value_widths" if name == "policy-gradient" else "critic_widths"
    three = dataclasses.replace(blocks, **{"policy_widths": "5,5,5", spelled: "6"})
    assert policy_layers(three, TWO) == residual(5, 3, 4, head_scale=0.01, **form)
    if name != "policy-gradient":
        assert critic_layers(three) == residual(6, 1, 1, **form)


def test_without_blocks_there_is_still_a_layer_to_put_them_between():
    made = policy_layers(SACConfig(width=4, depth=0, residual=True), TWO)
    assert made == (Dense(4), LayerNorm(), Dense(4, 0.01))
    assert critic_layers(SACConfig(width=4, depth=0, residual=True, norm="batch")) == (Dense(4), RMSNorm(), Dense(1))


@pytest.mark.parametrize("name", sorted(set(ALGORITHMS) - {"soft-q"}))
def test_blocks_of_unequal_widths_cannot_add_up(name):
    for spelled in ("policy_widths", "value_widths" if name == "policy-gradient" else "critic_widths"):
        config = change(Config(name), residual=True, **{spelled: "8,8, 8"})
        assert validated(config) == config
        with pytest.raises(ConfigError, match=rf"{spelled} must be equal .*'8,4'.* leave residual out"):
            validated(change(config, **{spelled: "8,4"}))
        assert validated(change(config, residual=False, **{spelled: "8,4"}))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_batch_norm_is_soft_actor_critics_without_a_value_network(name):
    if name != "sac":
        with pytest.raises(ConfigError, match="norm must be one of 'none', 'layer', 'rms', got 'batch'"):
            change(Config(name), norm="batch")
        return
    config = change(Config(name), norm="batch")
    assert validated(config) == config
    with pytest.raises(ConfigError, match=r"norm batch .* value network"):
        validated(change(config, value_network=True))


def test_running_statistics_that_are_not_learned_or_not_published_make_another_policy():
    config = SACConfig(width=8, depth=1, norm="batch", residual=True)
    agent, numbers = build(config, SPEC), jax.tree.map(jnp.float32, resolve(SACHypers(), SPEC))
    state = tiny.compiled(agent.init, jax.random.key(0), numbers)(jax.random.key(0), numbers)
    rng = np.random.default_rng(0)
    some = lambda *shape: jnp.float32(rng.normal(1.0, 2.0, shape))
    ones = jnp.ones(16)
    batch = Batch(some(16, 3), jnp.tanh(some(16, 2)), some(16), 0.99 * ones, some(16, 3), ones, jnp.arange(16))
    args = state, batch, numbers, jax.random.key(1), Clock.start()
    after, feedback, _ = tiny.compiled(agent.update, *args)(*args)
    assert feedback.finite
    for old, new in ((state.policy, after.policy), (state.critic, after.critic)):
        moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), old.batch_stats, new.batch_stats)
        assert moved == {"Residual_0": {"BatchNorm_0": {"mean": True, "var": True}}}
    policy = agent.policy(after)
    act = jax.jit(partial(agent.act, policy, ()))
    ours = actor(config, SPEC, policy).act(np.asarray(batch.obs))
    np.testing.assert_allclose(ours, act(batch.obs, None)[0], atol=2e-6)  # float32 sums in another order
