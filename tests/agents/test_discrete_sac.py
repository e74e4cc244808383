"""Discrete soft actor-critic against the exact controller of the very same table.

Critic and policy are linear in one-hot observations, tables of their own; batches are all that can happen, weighted by
its probability. So what an update converges to is a fixed point of equations, not of noise.
"""

import itertools
import math
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl.agents.registry import numbers_for
from softrl.agents.sac import SACConfig, SACHypers, build
from softrl.agents.sac.algorithm import summary
from softrl.clock import Clock
from softrl.errors import ConfigError
from softrl.training.assemble import assemble
from softrl.types import Batch, Continuous, Discrete, Spec, Window
from tests import tiny
from tests.oracles import chain

SPEC = Spec(jax.ShapeDtypeStruct((3,), jnp.float32), Discrete(3))
TABLES = SACConfig(depth=0, norm="none", normalize_obs=False, auto_temperature=False)
ALPHA = 0.3
FINAL = np.arange(3) == chain.END
SKEWED = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [1 / 3, 1 / 3, 1 / 3]]))
"""An action prior of the chain."""


class Paths(NamedTuple):
    """Everything that can happen in n steps from each action of each state, one row each. states: `[B, n + 1]`, the end
    repeated behind it. action: `[B]`, the first. length: `[B]`, steps until the end, at most n."""

    states: np.ndarray
    action: np.ndarray
    length: np.ndarray


def paths(n: int) -> Paths:
    rows = []
    for first, action in itertools.product(range(2), range(3)):
        for m in range(1, n + 1):
            ends = [chain.END] if m < n else [0, 1, chain.END]
            for middle in itertools.product(range(2), repeat=m - 1):
                rows += [((first, *middle, *[end] * (n - m + 1)), action, m) for end in ends]
    return Paths(*(np.array(column) for column in zip(*rows, strict=True)))


def batch(known: Paths, policy: jax.Array) -> Batch:
    """All paths, weighted by their probability where later actions follow `policy` `[3, 3]`; rewards as expected."""
    transition, reward = jnp.float32(chain.TRANSITION), jnp.float32(chain.REWARD)
    steps, own = jnp.einsum("sa,sax->sx", policy, transition), jnp.sum(policy * reward, axis=1)
    states, n = known.states, known.states.shape[1] - 1
    weight = transition[states[:, 0], known.action, states[:, 1]]
    paid = reward[states[:, 0], known.action]
    discounts = [np.where(i < known.length, chain.GAMMA**i, 0.0) for i in range(n)]
    for i in range(1, n):
        weight *= jnp.where(i < known.length, steps[states[:, i], states[:, i + 1]], 1.0)
        paid += jnp.float32(discounts[i]) * own[states[:, i]]
    last = np.where(states[:, -1] == chain.END, 0.0, chain.GAMMA**n)
    seen = lambda state: jax.nn.one_hot(state, 3)
    window = ()
    if n > 1:
        inside, nothing = states[:, :-1], jnp.zeros((len(weight), n), jnp.int32)
        window = Window(seen(inside), nothing, jnp.float32(np.stack(discounts, 1)))
    first, after, where = seen(states[:, 0]), seen(states[:, -1]), jnp.arange(len(weight))
    return Batch(first, jnp.int32(known.action), paid, jnp.float32(last), after, weight, where, window)


class Learned(NamedTuple):
    """Q `[K, 2, 3]` and π `[2, 3]` in the states that are not the end, and α."""

    q: np.ndarray
    policy: np.ndarray
    temperature: np.ndarray


RATES = {3e-2: 2500, 3e-3: 2500, 3e-4: 1500}
"""Learning rate of everything, and how many updates at it."""


def table(net) -> jax.Array:
    """What a linear network says of the three one-hot observations, `[..., 3, n]`."""
    dense = net.params["params"]["Dense_0"]
    return dense["kernel"] + dense["bias"][..., None, :]


def learned(config: SACConfig, *, n: int = 1, log_prior=None, temperature: float = ALPHA, **hypers) -> Learned:
    agent, known = build(config, SPEC, log_prior=log_prior), paths(n)
    numbers = SACHypers(gamma=chain.GAMMA, tau=0.1, temperature=temperature, max_grad_norm=1e9, **hypers)
    numbers = jax.tree.map(jnp.float32, numbers_for("sac", numbers, SPEC))

    def step(state, rate):
        rates = dict.fromkeys(("policy_lr", "critic_lr", "temperature_lr"), rate)
        rows = batch(known, jax.nn.softmax(table(state.policy)))
        return agent.update(state, rows, replace(numbers, **rates), jax.random.key(0), Clock.start())[0], None

    def learn(key):
        state, _ = jax.lax.scan(step, agent.init(key, numbers), jnp.float32(np.repeat([*RATES], [*RATES.values()])))
        return table(state.critic)[:, :2], jax.nn.softmax(table(state.policy))[:2], jnp.exp(state.temperature.params)

    return Learned(*map(np.asarray, tiny.compiled(learn, jax.random.key(0))(jax.random.key(0))))


def exact(alpha: float = ALPHA, **how):
    q, _, policy = chain.solve(chain.TRANSITION, chain.REWARD, FINAL, alpha, **how)
    return q[:2], policy[:2]


TOLERANCE = 1e-3
"""What is left of Adam's steps at a rate of 3e-4 in 32 bits; wrong targets are off by 0.2 to 1.4."""


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"value_network": True},
        pytest.param({"critic_reduction": "mean", "num_critics": 3}, marks=pytest.mark.slow),
    ],
)
def test_critic_and_policy_end_in_the_soft_fixed_point(form):
    found, (q, policy) = learned(replace(TABLES, **form)), exact()
    np.testing.assert_allclose(found.q, np.broadcast_to(q, found.q.shape), atol=TOLERANCE)
    np.testing.assert_allclose(found.policy, policy, atol=TOLERANCE)


@pytest.mark.parametrize("n", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_windows_of_many_steps_have_the_fixed_point_of_one(n):
    found, (q, policy) = learned(TABLES, n=n), exact()
    np.testing.assert_allclose(found.q, np.broadcast_to(q, found.q.shape), atol=TOLERANCE)
    np.testing.assert_allclose(found.policy, policy, atol=TOLERANCE)


@pytest.mark.slow
def test_without_the_entropies_between_a_window_ends_it_is_the_other_objective_that_the_help_says():
    config = replace(TABLES, n_step_entropy=False)
    found = learned(config, n=3)
    value = np.sum(found.policy[0] * (found.q[0, 0] - ALPHA * np.log(found.policy[0])))
    assert value == pytest.approx(0.6021, abs=2e-3), "the value of the objective that only every third step pays"


@pytest.mark.parametrize("prior", ["of one's own", pytest.param("uniform", marks=pytest.mark.slow)])
def test_a_prior_over_actions_bends_the_fixed_point_as_in_exact_inference(prior):
    if prior == "uniform":
        found, log_prior = learned(replace(TABLES, action_prior="uniform")), -math.log(3.0)
    else:
        known = lambda obs, action: jnp.take_along_axis(obs @ jnp.float32(SKEWED), action, axis=-1)
        found, log_prior = learned(TABLES, log_prior=known), SKEWED
    q, policy = exact(log_prior=log_prior)
    np.testing.assert_allclose(found.q, np.broadcast_to(q, found.q.shape), atol=TOLERANCE)
    np.testing.assert_allclose(found.policy, policy, atol=TOLERANCE)


def test_an_optimistic_backup_ends_in_the_exact_posteriors_fixed_point():
    config = replace(TABLES, backup="optimistic")
    found, (q, policy) = learned(config), exact(optimistic=True)
    assert np.abs(q - exact()[0]).max() > 0.1, "here optimism must matter"
    np.testing.assert_allclose(found.q, np.broadcast_to(q, found.q.shape), atol=TOLERANCE)
    np.testing.assert_allclose(found.policy, policy, atol=TOLERANCE)


def test_a_learned_temperature_ends_where_the_optimal_policy_has_the_target_entropy():
    config = replace(TABLES, auto_temperature=True)
    found = learned(config, temperature=1.0, target_entropy=0.5)
    alpha = chain.temperature_of(0.5)
    assert alpha == pytest.approx(0.333352, abs=1e-6)
    assert found.temperature == pytest.approx(alpha, rel=0.01)
    q, policy = exact(alpha)
    np.testing.assert_allclose(found.q, np.broadcast_to(q, found.q.shape), rtol=0.01)
    np.testing.assert_allclose(found.policy, policy, atol=0.005)


def test_an_optimistic_backup_over_windows_of_several_steps_is_refused():
    with pytest.raises(ConfigError, match="of one step: set n_step 1, got 3"):
        assemble(tiny.config(env="probe/gridworld", backup="optimistic", n_step=3))


def test_target_entropies_that_no_policy_can_have_are_refused_and_doubtful_ones_said():
    target = lambda action, **hypers: (
        numbers_for("sac", SACHypers(**hypers), SPEC._replace(action=action)).target_entropy
    )
    assert target(Discrete(6)) == pytest.approx(math.log(6) / 3)
    assert target(Discrete(6), target_entropy=0.5) == 0.5
    with pytest.raises(ConfigError, match=r"1\.1 is out of reach: no policy over 3 actions has more than 1\.09861"):
        target(Discrete(3), target_entropy=1.1)
    with pytest.raises(ConfigError, match="target_sigma is a width of continuous actions"):
        target(Discrete(3), target_sigma=0.1)
    with pytest.raises(ConfigError, match="algorithm sac"):
        target("forward")
    said = lambda entropy: summary(SACConfig(), numbers_for("sac", SACHypers(target_entropy=entropy), SPEC), SPEC)
    assert "out of reach" in said(0.98 * math.log(3)) and "out of reach" not in said(0.5)
    assert "2 actions" in summary(SACConfig(), SACHypers(target_entropy=-2.0), SPEC._replace(action=Continuous(2)))
