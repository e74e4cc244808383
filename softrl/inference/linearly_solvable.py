"""Linearly-solvable Markov decision problems: choose the next state, pay for leaving the passive chain."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl import soft
from softrl.inference import checks, implicit
from softrl.inference.log_matrix import log_or_minus_infinity
from softrl.inference.perron import ONE_CLASS, log_perron
from softrl.inference.trajectory_posterior import tilt


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
    max_iterations: int = 1000,
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
      ValueError: bad arrays, states that cannot reach a terminal one, or negative costs that pay for staying for ever
        (known values only; under a transformation `residual` stays large).
    Source: Todorov 2009 (Efficient computation of optimal actions), Eqs 5–7.
    """
    passive, cost, temperature, tol = _validate(passive, cost, temperature, tol)
    checks.shape("terminal", terminal, cost.shape, "[S]")
    _check_exit(passive, cost, terminal, temperature)
    max_iterations = checks.count("max_iterations", max_iterations)
    return _first_exit(passive, cost, jnp.asarray(terminal, bool), temperature, tol, max_iterations)


def lmdp_average(
    passive: jax.Array,
    cost: jax.Array,
    *,
    temperature: jax.Array | float = 1.0,
    tol: jax.Array | float = 1e-10,
    max_iterations: int = 1000,
) -> AverageCost:
    """Least average cost a step, c + v(s) = q(s) − α log Σ_s′ p(s′|s) exp(−v(s′)/α).

    λ z = e^{−q/α} P z with the greatest λ, and c = −α log λ.
    Args as in `lmdp_first_exit`; the passive chain must be irreducible, or lead into one class that costs least.
    Raises:
      ValueError: bad arrays, or several classes (NaN under a transformation, where values are not known).
    Source: Todorov 2009, Eq 8.
    """
    passive, cost, temperature, tol = _validate(passive, cost, temperature, tol)
    max_iterations = checks.count("max_iterations", max_iterations)
    average = _average(passive, cost, temperature, tol, max_iterations)
    checks.exists("passive", (average.cost, average.value), ONE_CLASS)
    return average


@functools.partial(jax.jit, static_argnames="max_iterations")
def _first_exit(
    passive: jax.Array,
    cost: jax.Array,
    terminal: jax.Array,
    temperature: jax.Array,
    tol: jax.Array,
    max_iterations: int,
) -> FirstExit:
    params, tol = (passive, cost / temperature, terminal), tol / temperature
    # The first policy is the passive chain, which is known to reach an end; each next one is better, so it does too.
    start = jnp.zeros_like(cost)
    log_z, (iterations, residual) = implicit.newton(
        _exit_residual, _exit_slope, params, start, tol=tol, max_iterations=max_iterations, fallback=_exit_backups
    )
    policy = jnp.where(terminal[:, None], passive, tilt(passive, log_z))
    return FirstExit(-temperature * log_z, policy, iterations, temperature * residual)


def _exit_backups(params: tuple, log_z: jax.Array) -> jax.Array:
    """As many backups as a way through all states has steps."""
    return jax.lax.fori_loop(0, log_z.size, lambda _, log_z: log_z + _exit_residual(params, log_z), log_z)


def _exit_residual(params: tuple, log_z: jax.Array) -> jax.Array:
    passive, cost, terminal = params
    return jnp.where(terminal, 0.0, soft.log_expectation(log_z, passive)) - cost - log_z


def _exit_slope(params: tuple, log_z: jax.Array) -> jax.Array:
    passive, _, terminal = params
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


def _check_exit(passive: jax.Array, cost: jax.Array, terminal: jax.Array, temperature: jax.Array) -> None:
    chain, reached = checks.known(passive), checks.known(terminal)
    if chain is None or reached is None:
        return
    inside, paid, price = ~reached.astype(bool), checks.known(cost), checks.known(temperature)
    if reached.dtype != bool:
        checks.fail("terminal", terminal, "booleans")
    more = ~inside
    while more.any():
        more = ((chain > 0) & more[None]).any(-1) & ~reached
        reached = reached | more
    if not reached.all():
        checks.fail("terminal", terminal, f"an end within reach of every state; {np.flatnonzero(~reached)} have none")
    if paid is None or price is None or not inside.any() or paid[inside].min() >= 0:
        return
    steps, log_scale = chain[np.ix_(inside, inside)], -paid[inside, None] / price
    checks.spectral_radius_below_one("cost", steps, log_scale, "less negative costs, or a higher temperature")


def _validate(passive: jax.Array, cost: jax.Array, temperature: jax.Array, tol: jax.Array) -> tuple:
    size = np.shape(cost)[:1]
    checks.finite("cost", cost, size or (1,), "[S]")
    checks.distribution("passive", passive, size * 2, "[S, S] to go with cost [S]")
    passive, cost = checks.floating(passive, cost)
    return passive, cost, *checks.positives(cost.dtype, temperature=temperature, tol=tol)
