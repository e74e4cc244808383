"""Linearly-solvable Markov decision problems: choose the next state, pay for leaving the passive chain."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl import soft
from softrl.inference import checks, implicit
from softrl.inference.log_matrix import log_or_minus_infinity
from softrl.inference.perron import log_perron
from softrl.inference.posterior import tilt


class FirstExit(NamedTuple):
    """value: `[S]`, optimal cost to go v. policy: `[S, S]`, u*(s′|s); terminal rows stay passive.

    iterations: `[]`. residual: `[]`, of the Bellman equation, in units of cost.
    """

    value: jax.Array
    policy: jax.Array
    iterations: jax.Array
    residual: jax.Array


class AverageCost(NamedTuple):
    """cost: `[]`, optimal average cost a step. value: `[S]`, differential cost to go, with Σ exp(−v/α) = 1.

    policy: `[S, S]`. iterations: `[]`. residual: `[]`, of the Bellman equation, in units of cost.
    """

    cost: jax.Array
    value: jax.Array
    policy: jax.Array
    iterations: jax.Array
    residual: jax.Array


def lmdp_first_exit(
    passive: jax.Array,
    cost: jax.Array,
    terminal: jax.Array,
    *,
    temperature: jax.Array | float = 1.0,
    tol: jax.Array | float = 1e-10,
    max_iterations: int = 100,
) -> FirstExit:
    """Least expected cost until a terminal state, v(s) = q(s) − α log Σ_s′ p(s′|s) exp(−v(s′)/α).

    With z = exp(−v/α) this is the linear equation z = e^{−q/α} P z; it is solved for v by policy iteration, so that a
    cost of thousands does not underflow. u*(s′|s) ∝ p(s′|s) z(s′). It is the maximum-entropy problem whose action is
    the next state, with prior p.

    Args:
      passive: `[S, S]`, p(s′|s). cost: `[S]`, q per step; paid once in a terminal state.
      terminal: `[S]` booleans; every state must be able to reach one.
      temperature: α > 0, price of a nat of KL(u ‖ p), in units of cost. tol: change of v at which to stop.
    Raises:
      ValueError: bad arrays, or states that cannot reach a terminal one.
    Source: Todorov 2009 (Efficient computation of optimal actions), Eqs 5–7.
    """
    passive, cost, temperature, tol = _validate(passive, cost, temperature, tol)
    checks.shape("terminal", terminal, cost.shape, "[S]")
    _check_exit(passive, terminal)
    max_iterations = checks.count("max_iterations", max_iterations)
    return _first_exit(passive, cost, jnp.asarray(terminal, bool), temperature, tol, max_iterations)


def lmdp_average(
    passive: jax.Array,
    cost: jax.Array,
    *,
    temperature: jax.Array | float = 1.0,
    tol: jax.Array | float = 1e-10,
    max_iterations: int = 100,
) -> AverageCost:
    """Least average cost a step, c + v(s) = q(s) − α log Σ_s′ p(s′|s) exp(−v(s′)/α).

    λ z = e^{−q/α} P z with the greatest λ, and c = −α log λ.
    Args as in `lmdp_first_exit`; the passive chain must be irreducible.
    Source: Todorov 2009, Eq 8.
    """
    passive, cost, temperature, tol = _validate(passive, cost, temperature, tol)
    max_iterations = checks.count("max_iterations", max_iterations)
    return _average(passive, cost, temperature, tol, max_iterations)


@functools.partial(jax.jit, static_argnames="max_iterations")
def _first_exit(
    passive: jax.Array,
    cost: jax.Array,
    terminal: jax.Array,
    temperature: jax.Array,
    tol: jax.Array,
    max_iterations: int,
) -> FirstExit:
    params = (passive, cost / temperature, terminal, tol / temperature)
    solve = functools.partial(_solve_exit, max_iterations=max_iterations)
    log_z, (iterations, residual) = implicit.root(solve, _exit_residual, _exit_slope, params)
    policy = jnp.where(terminal[:, None], passive, tilt(passive, log_z))
    return FirstExit(-temperature * log_z, policy, iterations, temperature * residual)


def _solve_exit(params: tuple, max_iterations: int) -> tuple[jax.Array, tuple]:
    _, cost, _, tol = params
    f, slope = functools.partial(_exit_residual, params), functools.partial(_exit_slope, params)
    return implicit.newton(f, slope, -cost, tol=tol, max_iterations=max_iterations)


def _exit_residual(params: tuple, log_z: jax.Array) -> jax.Array:
    passive, cost, terminal, _ = params
    return jnp.where(terminal, 0.0, soft.log_expectation(log_z, passive)) - cost - log_z


def _exit_slope(params: tuple, log_z: jax.Array) -> jax.Array:
    passive, _, terminal, _ = params
    return jnp.where(terminal[:, None], 0.0, tilt(passive, log_z)) - jnp.eye(log_z.size, dtype=log_z.dtype)


@functools.partial(jax.jit, static_argnames="max_iterations")
def _average(
    passive: jax.Array, cost: jax.Array, temperature: jax.Array, tol: jax.Array, max_iterations: int
) -> AverageCost:
    log_matrix = log_or_minus_infinity(passive) - cost[:, None] / temperature
    pair = log_perron(log_matrix, tol=tol / temperature, max_iterations=max_iterations)
    policy = tilt(passive, pair.log_right)
    rate, value = -temperature * pair.log_value, -temperature * pair.log_right
    return AverageCost(rate, value, policy, pair.iterations, temperature * pair.residual)


def _check_exit(passive: jax.Array, terminal: jax.Array) -> None:
    chain, reached = checks.known(passive), checks.known(terminal)
    if chain is None or reached is None:
        return
    if reached.dtype != bool:
        checks.fail("terminal", terminal, "booleans")
    for _ in range(len(reached)):
        reached = reached | ((chain > 0) & reached[None]).any(-1)
    if not reached.all():
        checks.fail("terminal", terminal, f"an end within reach of every state; {np.flatnonzero(~reached)} have none")


def _validate(passive: jax.Array, cost: jax.Array, temperature: jax.Array, tol: jax.Array) -> tuple:
    size = np.shape(cost)[:1]
    checks.shape("cost", cost, size or (1,), "[S]")
    checks.shape("passive", passive, size * 2, "[S, S] to go with cost [S]")
    checks.finite("cost", cost)
    checks.distribution("passive", passive)
    checks.positive("temperature", temperature)
    checks.positive("tol", tol)
    passive, cost = checks.floating(passive, cost)
    return passive, cost, jnp.asarray(temperature, cost.dtype), jnp.asarray(tol, cost.dtype)
