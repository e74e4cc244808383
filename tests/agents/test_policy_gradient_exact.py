"""The policy gradient, in double precision, against the exact gradient of J = E[Σ r − α log π]: over all trajectories
of small decision processes, all transitions of a discounted one, and a continuous action by quadrature."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl import losses
from softrl.agents.descent import Trained
from softrl.agents.policy_gradient import PolicyGradientConfig, PolicyGradientHypers
from softrl.agents.policy_gradient.agent import parts_of
from softrl.agents.policy_gradient.rows import Rows, rows_of
from softrl.agents.policy_gradient.state import Parts, PolicyGradientState
from softrl.agents.policy_gradient.update import policy_loss
from softrl.agents.target_entropy import resolve
from softrl.config import change
from softrl.types import Continuous, Discrete, EnvSpec, Transition
from tests.oracles import policy_gradient as oracle

TABLE = {"depth": 0, "normalize_obs": False, "normalize_advantages": False}
"""Networks without hidden layers, of one-hot observations: every state has its own logits and its own value."""

PROBLEMS = {"tutorial": oracle.tutorial(), "random": oracle.random(3)}


class Setting(NamedTuple):
    """An agent that nobody drew."""

    parts: Parts
    state: PolicyGradientState
    hypers: PolicyGradientHypers


def setting(action, policy: dict, value, *, obs_size: int, num_envs: int, config=None, **hypers) -> Setting:
    """An agent with these parameters, `kernel` and `bias` of its policy and the kernel of its value, all float64."""
    config = PolicyGradientConfig(**{**TABLE, **(config or {})})
    spec = EnvSpec("table", jax.ShapeDtypeStruct((obs_size,), jnp.float64), action, num_envs, 100)
    numbers = jax.tree.map(jnp.float64, resolve(change(PolicyGradientHypers(), **hypers), spec))
    net = lambda kernel, bias: {"params": {"Dense_0": {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}}}
    trained = lambda params: Trained(params, (), ())
    state = PolicyGradientState(
        policy=trained(net(policy["kernel"], policy["bias"])),
        value=trained(net(np.reshape(value, (-1, 1)), np.zeros(1))),
        temperature=trained(jnp.log(numbers.temperature)),
        statistics=(),
        acting=(),
    )
    return Setting(parts_for(config, spec), state, numbers)


parts_for = functools.cache(parts_of)
"""The same for the same problem, so that its gradient is compiled once."""


@functools.partial(jax.jit, static_argnums=0)
def descent(parts: Parts, state: PolicyGradientState, rollout: Transition, weight, hypers, changes) -> tuple:
    """The loss' gradient with these weights of the rows, and the rows."""
    rows = rows_of(parts, state, rollout, hypers)._replace(weight=weight.reshape(-1), **changes)
    return jax.grad(lambda params: policy_loss(parts, params, (), rows, hypers)[0])(state.policy.params), rows


def climbed(there: Setting, rollout: Transition, weight, **changes) -> tuple[dict, Rows]:
    """Minus the loss' gradient, times the weights' sum, with these weights of the rows; and the rows."""
    grads, rows = descent(*there[:2], rollout, jnp.asarray(weight), there.hypers, changes)
    grads = grads["params"]["Dense_0"]
    scale = -max(float(rows.weight.sum()), 1.0)  # the losses' mean is over at least one row
    return {name: scale * np.asarray(grad) for name, grad in grads.items()}, rows


def every_trajectory(problem: oracle.Problem, found) -> Transition:
    """All of them as one rollout `[T, N]`; observations say when and where."""
    horizon, states = problem.horizon, len(problem.initial)
    place = np.eye(horizon * states).reshape(horizon, states, -1)
    obs = np.stack([place[t, found.states[:, t]] for t in range(horizon)])
    after = np.concatenate([obs[1:], np.zeros_like(obs[:1])])
    reward = problem.reward[found.states, found.actions].T
    last = np.broadcast_to(np.arange(horizon)[:, None] == horizon - 1, reward.shape)
    no = np.zeros(reward.shape, bool)
    return jax.tree.map(jnp.asarray, Transition(obs, found.actions.T, reward, last, no, after, ~no))


def enumerated(problem: oracle.Problem, value, config=None, **hypers) -> tuple[np.ndarray, np.ndarray]:
    """The learner's gradient `[T, S, A]` over all trajectories of a problem, and the bias's `[A]`."""
    found, states = oracle.paths(problem), len(problem.initial)
    kernel = oracle.by_time(problem).reshape(-1, 2)
    there = setting(
        Discrete(2),
        {"kernel": kernel, "bias": np.zeros(2)},
        value,
        obs_size=problem.horizon * states,
        num_envs=len(found.states),
        config=config,
        **{"gamma": 1.0, "temperature": problem.temperature, **hypers},
    )
    chance = oracle.probability(problem, found, oracle.by_time(problem))
    weight = np.broadcast_to(chance, (problem.horizon, len(chance)))
    grads, _ = climbed(there, every_trajectory(problem, found), weight)
    return grads["kernel"].reshape(problem.horizon, states, 2), grads["bias"]


def baselines(problem: oracle.Problem) -> dict[str, np.ndarray]:
    exact = oracle.soft_values(problem)[:-1]
    return {"none": 0.0 * exact, "any": np.random.default_rng(0).normal(size=exact.shape), "exact": exact}


@pytest.mark.parametrize("surrogate", ["score", "clipped"])
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize(("baseline", "trace"), [("none", 1.0), ("any", 1.0), ("exact", 0.6), ("exact", 0.0)])
def test_over_all_trajectories_it_is_the_gradient_of_the_objective(name, surrogate, baseline, trace):
    """At λ = 1 whatever the baseline; below it, the soft values being right."""
    problem = PROBLEMS[name]
    exact = oracle.gradient(problem, oracle.paths(problem))
    with jax.enable_x64(True):
        kernel, bias = enumerated(problem, baselines(problem)[baseline], {"surrogate": surrogate}, gae_lambda=trace)
    np.testing.assert_allclose(kernel, exact, atol=1e-8)  # of central differences
    np.testing.assert_allclose(bias, exact.sum((0, 1)), atol=1e-8)


def test_the_exact_gradient_is_the_one_that_was_worked_out_elsewhere():
    problem = PROBLEMS["tutorial"]
    found = oracle.paths(problem)
    known = np.array([-0.015419265864, 0.051260437561, 0.087571211171])
    np.testing.assert_allclose(oracle.objective(problem, found, oracle.by_time(problem)), -3.253462846187853)
    expected = np.stack([known, -known], -1)
    np.testing.assert_allclose(oracle.gradient(problem, found).sum(0), expected, atol=1e-8)  # of both differences


@pytest.mark.parametrize("name", PROBLEMS)
def test_who_forgets_an_entropy_or_a_reward_climbs_elsewhere(name):
    """What the test above tells apart: each mistake is ten thousand times as large as its tolerance."""
    problem = PROBLEMS[name]
    with jax.enable_x64(True):
        right, _ = enumerated(problem, baselines(problem)["none"], {"surrogate": "score"}, gae_lambda=1.0)
        cold, _ = enumerated(problem, baselines(problem)["none"], gae_lambda=1.0, temperature=1e-12)
    wrong = oracle.wrong_gradients(problem, oracle.paths(problem))
    for mistake, gradient in wrong.items():
        assert np.abs(gradient - right).max() > 1e-3, mistake
    # Without a temperature entropies earn nothing, and the gradient is that of the reward.
    np.testing.assert_allclose(cold, wrong["no entropy"], atol=1e-8)


class Chain:
    """A discounted one whose third state is the end."""

    transition = np.array([[[0.8, 0.2, 0], [0.1, 0.6, 0.3]], [[0.3, 0.6, 0.1], [0, 0.1, 0.9]], [[0, 0, 1], [0, 0, 1]]])
    reward = np.array([[0.0, -0.3], [-1.0, -0.2], [0.0, 0.0]])
    initial = np.array([0.7, 0.3, 0.0])
    logits = np.array([[0.4, -0.3], [-0.2, 0.7], [0.0, 0.0]])
    gamma = 0.9
    temperature = 0.5


def chain_gradient(visits_discounted: bool, **hypers) -> np.ndarray:
    """The learner's gradient `[2]` in the first action's logits, by exact soft values and every transition, weighed by
    how often its state is visited."""
    chain, alive = Chain(), np.array([1.0, 1.0, 0.0])
    log_pi = oracle.log_policy(chain.logits)
    policy = np.exp(log_pi)
    moves = np.einsum("sa,sax->sx", policy, chain.transition) * alive[:, None]
    now = alive * np.sum(policy * (chain.reward - chain.temperature * log_pi), -1)
    value = np.linalg.solve(np.eye(3) - chain.gamma * moves, now)
    visits = np.linalg.solve(np.eye(3) - (chain.gamma if visits_discounted else 1.0) * moves.T, chain.initial) * alive
    at, action, to = (x.reshape(1, -1) for x in np.meshgrid(range(3), range(2), range(3), indexing="ij"))
    weight = visits[at] * policy[at, action] * chain.transition[at, action, to]
    no, place = np.zeros(at.shape, bool), np.eye(3)
    rows = Transition(place[at], action, chain.reward[at, action], to == 2, no, place[to], ~no)
    with jax.enable_x64(True):
        there = setting(
            Discrete(2),
            {"kernel": chain.logits, "bias": np.zeros(2)},
            value,
            obs_size=3,
            num_envs=at.size,
            config={"surrogate": "score"},
            **{"gamma": chain.gamma, "temperature": chain.temperature, "gae_lambda": 0.0, **hypers},
        )
        return climbed(there, jax.tree.map(jnp.asarray, rows), weight)[0]["kernel"][:2, 0]


def test_of_a_discounted_problem_it_is_the_gradient_where_states_are_visited_as_discounted():
    """And where they count alike whenever they come, as in rollouts, it is another: the known price of the practice."""
    np.testing.assert_allclose(chain_gradient(True), [0.080279617122586, -0.063406167902592], atol=1e-12)
    np.testing.assert_allclose(chain_gradient(False), [0.094086573510, -0.077594574681], atol=1e-11)


def test_of_a_continuous_action_it_is_the_gradient_in_mean_and_log_std():
    """One step that pays −(a − ½)², by 200 nodes of Gauss–Hermite quadrature; of the action itself, not of what it was
    before the tanh."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    mean, log_std = 0.3, -0.7
    action = np.tanh(mean + np.exp(log_std) * nodes)[None, :, None]
    no, obs = np.zeros(action.shape[:2], bool), np.zeros((*action.shape[:2], 1))
    rows = Transition(obs, action, -np.square(action[..., 0] - 0.5), ~no, no, obs, ~no)
    with jax.enable_x64(True):
        there = setting(
            Continuous(1),
            {"kernel": np.zeros((1, 2)), "bias": np.array([mean, log_std])},
            np.zeros(1),
            obs_size=1,
            num_envs=len(nodes),
            config={"surrogate": "score", "log_std_min": -5.0, "log_std_max": 2.0, "log_std_map": "clip"},
            temperature=0.1,
            gae_lambda=1.0,
        )
        bias = climbed(there, jax.tree.map(jnp.asarray, rows), weights / weights.sum())[0]["bias"]
    np.testing.assert_allclose(bias, [0.452051187330, -0.212765445210], atol=1e-9)


@pytest.mark.parametrize("weighed", [True, False])
def test_importance_weights_make_another_policys_actions_its_own(weighed):
    """One step: all actions, as often as μ takes them. Without weights the gradient is of something else."""
    logits, rewards, other = np.array([0.4, -0.3]), np.array([0.2, -0.5]), np.array([0.8, 0.2])
    log_pi, alpha = oracle.log_policy(logits), 0.5
    soft = rewards - alpha * log_pi
    exact = np.exp(log_pi) * (soft - np.exp(log_pi) @ soft)
    action, no, obs = np.arange(2)[None], np.zeros((1, 2), bool), np.ones((1, 2, 1))
    rows = Transition(obs, action, rewards[None], ~no, no, obs, ~no)
    with jax.enable_x64(True):
        there = setting(
            Discrete(2),
            {"kernel": np.zeros((1, 2)), "bias": logits},
            [np.exp(log_pi) @ soft],
            obs_size=1,
            num_envs=2,
            config={"surrogate": "score", "importance_weights": weighed},
            temperature=alpha,
        )
        found = climbed(there, jax.tree.map(jnp.asarray, rows), other, log_old=jnp.log(other))[0]["bias"]
    assert np.allclose(found, exact, atol=1e-12) == weighed
    assert weighed or np.abs(found - exact).max() > 1e-2


def test_a_clipped_ratio_earns_nothing_beyond_the_clip():
    """Exactly where ρ has gone to the side on which its advantage would grow, and nowhere else."""
    ratio = np.array([1.5, 1.5, 0.5, 0.5, 1.1, 0.9])
    advantage = np.array([2.0, -2.0, 2.0, -2.0, 1.0, -1.0])
    moved, weight = jnp.log(jnp.float32(ratio)), jnp.ones(6)
    slope = jax.grad(lambda m: losses.clipped(m, jnp.float32(advantage), weight, clip_range=0.2))(moved)
    expected = -ratio * advantage / 6.0 * np.array([0, 1, 1, 0, 1, 1])
    np.testing.assert_allclose(slope, expected, rtol=1e-5)
