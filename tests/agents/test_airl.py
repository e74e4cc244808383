"""Adversarial inverse reinforcement learning against exact optima on the chain, and as a run like any other."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl.agents.airl import AIRLConfig, AIRLHypers
from softrl.agents.airl.agent import build, parts_of
from softrl.agents.airl.reward import advantage_of_the_end, reward
from softrl.agents.airl.update import compared, logit, update_reward
from softrl.types import Batch, Discrete, EnvSpec
from tests import tiny
from tests.oracles import expert_chain as chain

TABLE = AIRLConfig(depth=0, normalize_obs=False, reward_widths="16", activation="tanh", norm="none")
"""A policy that is a table of logits, and a reward that can be any table."""
SPEC = EnvSpec("chain", jax.ShapeDtypeStruct((chain.STATES,), jnp.float32), Discrete(chain.ACTIONS), 4, 100)
UNIFORM = np.full((chain.STATES, chain.ACTIONS), -math.log(chain.ACTIONS))
STATE, ACTION, AFTER = (x.ravel() for x in np.indices(chain.TRANSITION.shape))


def every_step(log_policy: np.ndarray) -> Batch:
    """All (s, a, s′), each weighed by how often the policy makes it."""
    one = jnp.eye(chain.STATES)
    weight = jnp.float32((chain.occupancy(log_policy)[..., None] * chain.TRANSITION).ravel())
    discount, nothing = jnp.full(len(STATE), chain.GAMMA), jnp.zeros(len(STATE))
    return Batch(one[STATE], jnp.int32(ACTION), nothing, discount, one[AFTER], weight, jnp.arange(len(STATE)))


ENDS = np.array([[0.0, 0.1], [0.2, 0.0], [0.05, 0.3]])
"""How probably each action ends the episode, in the same chain with ends."""


def every_step_or_end(log_policy: np.ndarray) -> Batch:
    """As `every_step`, and all (s, a) after which the episode ends."""
    rows, often = every_step(log_policy), chain.occupancy(log_policy, ENDS)
    goes_on = chain.TRANSITION * (1.0 - ENDS[..., None])
    alive = rows._replace(weight=jnp.float32((often[..., None] * goes_on).ravel()))
    dead = jax.tree.map(lambda x: x[:: chain.STATES], rows)  # any next state: nothing of it may be used
    dead = dead._replace(discount=jnp.zeros(often.size), weight=jnp.float32((often * ENDS).ravel()))
    return jax.tree.map(lambda *x: jnp.concatenate(x), alive, dead)


class Discriminator:
    """The discriminator's own updates on exact occupancies, the policy given. rows: all that can happen to a policy."""

    def __init__(self, config: AIRLConfig, *, updates: int, rows: Callable[[np.ndarray], Batch] = every_step):
        self.parts = parts_of(config, SPEC)
        numbers = AIRLHypers(gamma=chain.GAMMA, gradient_penalty=0.0)
        self.hypers = jax.tree.map(jnp.float32, numbers)
        self.state = build(config, SPEC).init(jax.random.key(0), self.hypers)
        self.updates, self.rows = updates, rows
        shapes = (self.state, rows(UNIFORM), self.hypers.reward_lr)
        self.table = tiny.compiled(self._table, *shapes[:2])
        self.run = tiny.compiled(self._updated, *shapes, quick=False)

    def _updated(self, state, acted, rate):
        hypers = dataclasses.replace(self.hypers, reward_lr=rate)
        shown = self.rows(chain.EXPERT)

        def step(state, _):
            return update_reward(self.parts, state, acted, shown, hypers, jax.random.key(0))[0], ()

        return jax.lax.scan(step, state, None, length=self.updates)[0]

    def learn(self, log_policy: np.ndarray, rate: float) -> None:
        actor = self.state.actor_critic.policy
        table = {"params": {"Dense_0": {"kernel": jnp.float32(log_policy), "bias": jnp.zeros(chain.ACTIONS)}}}
        inner = self.state.actor_critic._replace(policy=actor._replace(params=table))
        state = self.state._replace(actor_critic=inner)
        self.state = self.run(state, self.rows(log_policy), jnp.float32(rate))

    def f(self) -> np.ndarray:
        """f(s, a) `[S, A]`, the mean over s′."""
        table = self.f_of_rows()[: STATE.size].reshape(chain.TRANSITION.shape)
        return (table * chain.TRANSITION).sum(-1)

    def f_of_rows(self) -> np.ndarray:
        """f of every row."""
        return np.asarray(self.table(self.state, self.rows(UNIFORM)), np.float64)

    def _table(self, state, rows) -> jax.Array:
        seen = compared(self.parts, state, rows, self.hypers.gamma)
        return seen.log_prob + logit(self.parts, state.reward.params, getattr(state.after, "params", ()), seen)

    def reward(self) -> np.ndarray:
        """g of states, state 0 the gauge."""
        states, nobody = jnp.eye(chain.STATES), jnp.zeros(chain.STATES, jnp.int32)
        g = reward(self.parts.nets, self.state.reward.params.reward, states, nobody)
        return np.asarray(g - g[0], np.float64)[1:]


@pytest.mark.slow
@pytest.mark.parametrize("against, shaping", [("uniform", "sampled"), ("expert", "expected")])
def test_the_discriminators_optimum_is_the_policys_log_probability_plus_the_ratio_of_occupancies(against, shaping):
    """Numbers of the exact solution: against itself the expert's advantage, log π_E, comes out."""
    config = dataclasses.replace(TABLE, reward_inputs="state-action", shaping=shaping)
    there = Discriminator(config, updates=1000)
    policy = UNIFORM if against == "uniform" else chain.EXPERT
    there.learn(policy, 1e-2)
    there.learn(policy, 1e-3)
    exact = policy + np.log(chain.occupancy(chain.EXPERT) / chain.occupancy(policy))
    known = {
        "uniform": [-1.102787533, -0.841678495, -1.401086211, -0.444268683, -1.070304466, 0.227392754],
        "expert": [-0.832199840, -0.571090803, -1.281877299, -0.325059771, -1.539199295, -0.241502075],
    }
    np.testing.assert_allclose(exact.ravel(), known[against], atol=1e-8)
    np.testing.assert_allclose(there.f(), exact, atol=0.05)


def recovered(shaping: str) -> tuple[np.ndarray, np.ndarray]:
    """The weights and log π `[S, A]` of policy and discriminator in turn until neither moves: π soft-optimal for f."""
    there, log_policy = Discriminator(dataclasses.replace(TABLE, shaping=shaping), updates=40), UNIFORM
    for turn in range(120):
        there.learn(log_policy, 1e-2 if turn < 80 else 1e-3)
        log_policy = chain.soft_optimal(there.f())
    return there.reward(), log_policy


@pytest.mark.slow
def test_the_experts_reward_comes_back_from_random_dynamics():
    weights, log_policy = recovered("expected")
    np.testing.assert_allclose(weights, chain.WEIGHTS, rtol=0.05)
    np.testing.assert_allclose(np.exp(log_policy), np.exp(chain.EXPERT), atol=0.01)


@pytest.mark.slow
def test_with_the_one_next_state_that_came_the_reward_is_another():
    """What `shaping` is for: with (s, a, s′) as published a negative weight comes out positive here."""
    weights, _ = recovered("sampled")
    # The exact equilibrium, by minimising over tables: 0.102052 and 0.806155.
    np.testing.assert_allclose(weights, [0.102, 0.806], atol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("shaping", ["sampled", "expected"])
def test_what_comes_after_the_end_is_weighed_as_often_as_the_discount_counts_it(shaping):
    """At the optimum f is log π + log ρ_E/ρ_π at every (s, a), however it went on, and log ρ_E/ρ_π after the end."""
    config = dataclasses.replace(TABLE, reward_inputs="state-action", shaping=shaping)
    there = Discriminator(config, updates=1500, rows=every_step_or_end)
    there.learn(UNIFORM, 1e-2)
    there.learn(UNIFORM, 1e-3)
    expert, policy = (chain.occupancy(of, ENDS) for of in (chain.EXPERT, UNIFORM))
    exact = UNIFORM + np.log(expert / policy)
    happens = np.asarray(every_step_or_end(UNIFORM).weight) > 0.0
    expected = np.concatenate([np.repeat(exact.ravel(), chain.STATES), exact.ravel()])
    np.testing.assert_allclose(there.f_of_rows()[happens], expected[happens], atol=0.05)
    end = advantage_of_the_end(there.state.reward.params, there.hypers.gamma)
    np.testing.assert_allclose(end, np.log((1.0 - expert.sum()) / (1.0 - policy.sum())), atol=0.05)
