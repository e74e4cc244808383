"""Linearly-solvable problems against eigenvectors, direct minimisation and the maximum-entropy model that they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from softrl import inference


def log_mean(h, weights):
    """log Σ_j w_ij e^{h_j} of each row i, as `scipy.special.logsumexp` has it, which takes fifty times as long."""
    with np.errstate(divide="ignore"):
        terms = h[None] + np.log(weights)
    most = terms.max(1)
    return most + np.log(np.exp(terms - most[:, None]).sum(1))


def walk(seed=0, size=6):
    rng = np.random.default_rng(seed)
    passive = rng.dirichlet(np.ones(size), size) * (rng.random((size, size)) < 0.7)
    passive += 0.1 * np.eye(size) + 0.2 * np.roll(np.eye(size), 1, axis=1)
    passive /= passive.sum(-1, keepdims=True)
    return passive, rng.uniform(0.1, 1.5, size), np.arange(size) == size - 1


def test_first_exit_is_the_minimum_over_all_policies():
    passive, cost, terminal = walk()
    result = inference.lmdp_first_exit(passive, cost, terminal)
    free = passive[:-1] > 0

    def cost_to_go(x):
        logits = np.full(free.shape, -np.inf)
        logits[free] = x
        log_policy = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        policy = np.exp(log_policy)
        ratio = np.where(free, log_policy, 0.0) - np.log(np.where(free, passive[:-1], 1.0))
        paid = cost[:-1] + (policy * ratio).sum(1) + policy[:, -1] * cost[-1]
        return np.linalg.solve(np.eye(5) - policy[:, :-1], paid)

    found = minimize(lambda x: cost_to_go(x).sum(), np.zeros(free.sum()), method="BFGS", options={"gtol": 1e-8})
    np.testing.assert_allclose(result.value[:-1], cost_to_go(found.x), atol=1e-6)
    np.testing.assert_allclose(np.asarray(result.policy).sum(-1), 1.0, atol=1e-12)


def test_first_exit_is_linear_in_the_exponentiated_cost_and_composes():
    passive, cost, terminal = walk(1, 7)
    terminal[0] = True
    inside = ~terminal
    gain = np.diag(np.exp(-cost[inside]))
    system = np.eye(inside.sum()) - gain @ passive[np.ix_(inside, inside)]

    def z_inside(ends):
        return np.linalg.solve(system, gain @ passive[np.ix_(inside, terminal)] @ ends)

    first, second, mixed = (np.exp(-np.array(ends)) for ends in ([0.0, 3.0], [2.0, 0.5], [1.0, 1.0]))
    mixed = 0.3 * first + 0.7 * second
    for ends in (first, second, mixed):
        full = cost.copy()
        full[terminal] = -np.log(ends)
        value = inference.lmdp_first_exit(passive, full, terminal).value
        np.testing.assert_allclose(np.exp(-value[inside]), z_inside(ends), atol=1e-12)
    np.testing.assert_allclose(z_inside(mixed), 0.3 * z_inside(first) + 0.7 * z_inside(second), atol=1e-14)


def test_it_is_the_maximum_entropy_problem_whose_action_is_the_next_state():
    passive, cost, terminal = walk(2)
    cost[-1] = 0.0
    temperature = 0.6
    passive[-1] = np.eye(6)[-1]
    value = inference.lmdp_first_exit(passive, cost, terminal, temperature=temperature).value
    goes = np.broadcast_to(np.eye(6)[None], (6, 6, 6))
    with np.errstate(divide="ignore"):
        mdp = inference.TabularMDP(goes, np.broadcast_to(-cost[:, None], (6, 6)), np.eye(6)[0], np.log(passive))
    for mode in ("optimistic", "variational"):
        long = inference.backward_messages(mdp, 400, temperature=temperature, mode=mode)
        np.testing.assert_allclose(-long.v[0], value, atol=1e-9)


def test_average_cost_is_the_perron_eigenvalue_and_what_its_policy_pays():
    passive, cost, _ = walk(3)
    temperature = 0.8
    result = inference.lmdp_average(passive, cost, temperature=temperature)
    eigenvalue = np.max(np.linalg.eigvals(np.diag(np.exp(-cost / temperature)) @ passive).real)
    np.testing.assert_allclose(result.cost, -temperature * np.log(eigenvalue), atol=1e-12)
    policy = np.asarray(result.policy)
    stationary = np.linalg.matrix_power(policy, 5000)[0]
    ratio = np.log(np.where(policy > 0, policy, 1.0) / np.where(policy > 0, passive, 1.0))
    paid = stationary @ (cost + temperature * (policy * ratio).sum(-1))
    np.testing.assert_allclose(result.cost, paid, atol=1e-10)


def test_costs_of_thousands_do_not_underflow_and_gradients_are_visits():
    passive, cost, terminal = walk(4)
    with jax.enable_x64(False):
        value = lambda cost: inference.lmdp_first_exit(passive, cost, terminal).value[0]
        gradient = jax.grad(value)(jnp.asarray(2000.0 * cost, jnp.float32))
        result = inference.lmdp_first_exit(passive, 2000.0 * cost, terminal)
    assert np.isfinite(gradient).all()
    assert np.isfinite(result.value).all()
    policy = np.asarray(result.policy)[:-1, :-1]
    visits = np.linalg.solve(np.eye(5) - policy.T, np.eye(5)[0])
    np.testing.assert_allclose(gradient[:-1], visits, atol=1e-4)  # float32 through one linear solve


def test_a_state_without_an_end_is_refused_by_name():
    passive = np.eye(3)
    with pytest.raises(ValueError, match=r"terminal.*\[0 1\]"):
        inference.lmdp_first_exit(passive, np.ones(3), np.array([False, False, True]))


def test_a_negative_cost_is_fine_until_staying_for_ever_pays():
    passive, terminal = np.array([[0.9, 0.1], [0.0, 1.0]]), np.array([False, True])
    value = inference.lmdp_first_exit(passive, np.array([-0.05, 0.0]), terminal).value[0]
    z = 0.1 * np.exp(0.05) / (1 - 0.9 * np.exp(0.05))
    np.testing.assert_allclose(value, -np.log(z), atol=1e-12)
    with pytest.raises(ValueError, match=r"cost: .*grows by a factor 1\.0"):
        inference.lmdp_first_exit(passive, np.array([-0.15, 0.0]), terminal)
    chain = np.eye(3)[[1, 2, 2]]  # no loop, so that no cost is too negative
    ends = inference.lmdp_first_exit(chain, np.array([-5.0, -3.0, 0.0]), np.array([False, False, True]))
    np.testing.assert_allclose(ends.value, [-8.0, -3.0, 0.0], atol=1e-12)


def test_an_average_over_separate_classes_is_refused():
    with pytest.raises(ValueError, match=r"passive: .*can all reach each other"):
        inference.lmdp_average(np.eye(2), np.array([0.1, 0.2]))


def line(size):
    """A walk that stays or goes one step to either side."""
    near = (np.abs(np.subtract.outer(np.arange(size), np.arange(size))) <= 1).astype(float)
    return near / near.sum(1, keepdims=True)


@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.01, 1e-3])
def test_two_wells_that_hardly_reach_each_other_have_the_average_of_the_better_one(temperature):
    places = np.arange(9)
    near, cost = line(9), np.minimum((places - 1) ** 2 + 0.1, (places - 7) ** 2 + 0.15)
    result = inference.lmdp_average(near, cost, temperature=temperature)
    h = np.zeros(9)
    for _ in range(20_000):  # the power method, in logarithms; the walk can stay, so it has no period
        h = log_mean(h, near) - cost / temperature
        rate = h.max()
        h -= rate
    np.testing.assert_allclose(result.cost, -temperature * rate, rtol=1e-9)
    assert result.residual < 1e-12


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("temperature", [0.01, 1.0, 100.0])
def test_a_steep_way_out_is_found_where_the_passive_walk_hardly_ever_ends(bits, temperature):
    rng = np.random.default_rng(3)
    passive = line(30) * rng.uniform(0.1, 1.0, (30, 30))
    passive /= passive.sum(1, keepdims=True)
    cost, terminal, value = rng.uniform(50.0, 1000.0, 30), np.arange(30) == 29, np.zeros(30)
    for _ in range(5_000):
        ahead = -temperature * log_mean(-value / temperature, passive)
        value = np.where(terminal, cost, cost + ahead)
    with jax.enable_x64(bits == 64):
        result = inference.lmdp_first_exit(
            passive.astype(f"float{bits}"), cost.astype(f"float{bits}"), terminal, temperature=temperature
        )
    np.testing.assert_allclose(result.value, value, rtol=1e-9 if bits == 64 else 1e-5)
