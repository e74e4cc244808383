"""Maximum-entropy control of a nonlinear differentiable model by repeated linear-quadratic approximation."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve

from softrl.inference import checks, implicit


class ILQRSolution(NamedTuple):
    """A locally optimal trajectory x̄, ū and the policy π_t(u|x) = N(ū_t − K_t (x − x̄_t), Σ_t) around it.

    V_t(x) ≈ −½ δᵀP_t δ + p_tᵀδ + c_t with δ = x − x̄_t, in units of reward.
    states: `[T + 1, n]`. actions: `[T, m]`. P: `[T, n, n]`. p: `[T, n]`. c: `[T]`. K: `[T, m, n]`. Sigma: `[T, m, m]`.
    total_reward: `[]`, of the noiseless trajectory. gradient: `[]`, its greatest derivative in any action; far from 0
    means that it did not converge. iterations: `[]`.
    """

    states: jax.Array
    actions: jax.Array
    P: jax.Array
    p: jax.Array
    c: jax.Array
    K: jax.Array
    Sigma: jax.Array
    total_reward: jax.Array
    gradient: jax.Array
    iterations: jax.Array


class _Model(NamedTuple):
    """Functions of (state, action) or (state), with the arrays that they close over made explicit."""

    step: Callable
    reward: Callable
    final_reward: Callable


def iterative_lqr(
    step_fn: Callable[[jax.Array, jax.Array], jax.Array],
    reward_fn: Callable[[jax.Array, jax.Array], jax.Array],
    initial_state: jax.Array,
    actions: jax.Array,
    *,
    temperature: jax.Array | float = 1.0,
    noise: jax.Array | None = None,
    final_reward_fn: Callable[[jax.Array], jax.Array] | None = None,
    tol: jax.Array | float = 1e-8,
    max_iterations: int = 200,
) -> ILQRSolution:
    """Maximise Σ_t r(x_t, u_t) + r_T(x_T), x_{t+1} = f(x_t, u_t), and give each action the entropy that it can afford.

    Each iteration linearises f and expands r to second order along the trajectory, solves the variational
    linear-quadratic problem and searches along its closed-loop policy; Q_uu is regularised until steps improve.
    Σ_t = α Q_uu⁻¹. On a linear-quadratic model the first iteration gives `solve_lqr`, and others its rounding.
    Derivatives of the solution in whatever the functions close over are those of the optimality condition ∇_u Σ r = 0,
    not of the iterations.

    Args:
      step_fn: `(x[n], u[m]) -> x[n]`. reward_fn: `(x[n], u[m]) -> []`. final_reward_fn: `(x[n]) -> []`; None: 0.
      initial_state: `[n]`. actions: `[T, m]`, to start from.
      temperature: α > 0, in units of reward; it widens the policy and does not move the trajectory.
      noise: `[n, n]`, covariance of additive process noise; it enters c only, as in the linear model. None: 0.
      tol: greatest change of an action at which to stop. max_iterations: static.
    Source: Li and Todorov 2004 (iterative LQR); Levine and Koltun 2013 (its maximum-entropy policy); Levine 2018, §3.1.
    """
    max_iterations = checks.count("max_iterations", max_iterations)
    if np.ndim(initial_state) != 1:
        checks.fail("initial_state", initial_state, "[n]")
    checks.rank("actions", actions, 2, "[T, m] with T and m at least 1")
    size = np.shape(initial_state)[0]
    if noise is not None:
        checks.shape("noise", noise, (size, size), "[n, n] to go with initial_state [n]")
    checks.finite("initial_state", initial_state)
    checks.finite("actions", actions)
    initial_state, actions, noise = checks.floating(initial_state, actions, noise)
    temperature, tol = checks.positives(initial_state.dtype, temperature=temperature, tol=tol)
    now = (initial_state, actions[0])
    checks.output("step_fn", step_fn, now, (size,), "the next state [n]")
    checks.output("reward_fn", reward_fn, now, (), "a reward []")
    noise = jnp.zeros((size, size), initial_state.dtype) if noise is None else noise
    final_reward_fn = final_reward_fn or (lambda state: jnp.zeros((), state.dtype))
    step, step_arrays = jax.closure_convert(step_fn, initial_state, actions[0])
    reward, reward_arrays = jax.closure_convert(reward_fn, initial_state, actions[0])
    final, final_arrays = jax.closure_convert(final_reward_fn, initial_state)
    arrays = (step_arrays, reward_arrays, final_arrays)
    model = _Model(step, reward, final)
    return _solve(model, max_iterations, arrays, initial_state, actions, temperature, noise, tol)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _solve(
    model: _Model,
    max_iterations: int,
    arrays: tuple,
    start: jax.Array,
    actions: jax.Array,
    temperature: jax.Array,
    noise: jax.Array,
    tol: jax.Array,
) -> ILQRSolution:
    shape = actions.shape
    total = lambda params, x: _rollout(model, params[0], params[1], x.reshape(shape))[1]
    search = functools.partial(_search, model, max_iterations)
    params = (arrays, start, actions, tol)
    best, iterations = implicit.root(search, jax.grad(total, 1), jax.hessian(total, 1), params)
    gradient = jnp.max(jnp.abs(jax.grad(total, 1)(params, best)))
    actions = best.reshape(shape)
    states, reward = _rollout(model, arrays, start, actions)
    _, _, (P, p, c, K, Sigma) = _policy(model, arrays, states, actions, temperature, noise, jnp.zeros_like(tol))
    return ILQRSolution(states, actions, P, p, c, K, Sigma, reward, gradient, iterations)


def _search(model: _Model, max_iterations: int, params: tuple) -> tuple[jax.Array, jax.Array]:
    arrays, start, actions, tol = params
    sizes = 0.5 ** jnp.arange(10, dtype=actions.dtype)
    still = jnp.zeros((start.size, start.size), start.dtype)

    def improve(carry: tuple) -> tuple:
        actions, total, damping, _, count = carry
        states, _ = _rollout(model, arrays, start, actions)
        k, K, _ = _policy(model, arrays, states, actions, jnp.ones_like(tol), still, damping)
        attempts, totals = jax.vmap(lambda size: _try(model, arrays, states, actions, size * k, K))(sizes)
        totals = jnp.where(jnp.isfinite(totals), totals, -jnp.inf)
        best = jnp.argmax(totals)
        better = totals[best] > total
        moved = jnp.where(better, jnp.max(jnp.abs(attempts[best] - actions)), 0.0)
        # At a maximum no step improves, whatever the damping; elsewhere a greater damping finds one that does.
        done = jnp.where(better, moved <= tol, jnp.all(jnp.isfinite(k)) & (jnp.max(jnp.abs(k)) <= tol))
        damping = jnp.where(better, damping / 8, jnp.maximum(8 * damping, 1e-6))
        actions = jnp.where(better, attempts[best], actions)
        return actions, jnp.where(better, totals[best], total), damping, done | (damping > 1e12), count + 1

    def unfinished(carry: tuple) -> jax.Array:
        return ~carry[3] & (carry[4] < max_iterations)

    first = (actions, _rollout(model, arrays, start, actions)[1], jnp.zeros_like(tol), False, 0)
    actions, _, _, _, count = jax.lax.while_loop(unfinished, improve, first)
    return actions.ravel(), count


def _rollout(model: _Model, arrays: tuple, start: jax.Array, actions: jax.Array) -> tuple[jax.Array, jax.Array]:
    def step(state: jax.Array, action: jax.Array) -> tuple[jax.Array, tuple]:
        return model.step(state, action, *arrays[0]), (state, model.reward(state, action, *arrays[1]))

    last, (states, rewards) = jax.lax.scan(step, start, actions)
    total = jnp.sum(rewards) + model.final_reward(last, *arrays[2])
    return jnp.concatenate([states, last[None]]), total


def _try(
    model: _Model, arrays: tuple, states: jax.Array, actions: jax.Array, k: jax.Array, K: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Actions and total reward of u = ū + k − K (x − x̄)."""

    def step(state: jax.Array, now: tuple) -> tuple[jax.Array, jax.Array]:
        nominal_state, nominal_action, k, K = now
        action = nominal_action + k - K @ (state - nominal_state)
        return model.step(state, action, *arrays[0]), action

    _, attempt = jax.lax.scan(step, states[0], (states[:-1], actions, k, K))
    return attempt, _rollout(model, arrays, states[0], attempt)[1]


def _policy(
    model: _Model,
    arrays: tuple,
    states: jax.Array,
    actions: jax.Array,
    temperature: jax.Array,
    noise: jax.Array,
    damping: jax.Array,
) -> tuple[jax.Array, jax.Array, tuple]:
    """Feed-forward k `[T, m]`, gains K `[T, m, n]` and (P, p, c, K, Σ) of the linear-quadratic approximation."""
    f = lambda x, u: model.step(x, u, *arrays[0])
    r = lambda x, u: model.reward(x, u, *arrays[1])

    def step(value: tuple, now: tuple) -> tuple[tuple, tuple]:
        x, u = now
        P, p, c = value
        A, B = jax.jacobian(f, (0, 1))(x, u)
        r_x, r_u = jax.grad(r, (0, 1))(x, u)
        (r_xx, _), (r_ux, r_uu) = jax.hessian(r, (0, 1))(x, u)
        q_x, q_u = r_x + A.T @ p, r_u + B.T @ p
        # Negated second derivatives of Q; a Cholesky factor that does not exist is NaN and loses the line search.
        n_xx, n_ux = A.T @ P @ A - r_xx, B.T @ P @ A - r_ux
        n_uu = B.T @ P @ B - r_uu + damping * jnp.eye(u.size, dtype=u.dtype)
        factor = (jnp.linalg.cholesky(n_uu), True)
        k, K = cho_solve(factor, q_u), cho_solve(factor, n_ux)
        log_det = 2 * jnp.sum(jnp.log(jnp.diagonal(factor[0])))
        entropy = 0.5 * temperature * (u.size * jnp.log(2 * jnp.pi * temperature) - log_det)
        c = r(x, u) + c - 0.5 * jnp.sum(P * noise) + 0.5 * q_u @ k + entropy
        P = n_xx - n_ux.T @ K
        value = (0.5 * (P + P.T), q_x - n_ux.T @ k, c)
        return value, (k, K, (*value, K, temperature * cho_solve(factor, jnp.eye(u.size, dtype=u.dtype))))

    final = lambda x: model.final_reward(x, *arrays[2])
    end = (-jax.hessian(final)(states[-1]), jax.grad(final)(states[-1]), final(states[-1]))
    return jax.lax.scan(step, end, (states[:-1], actions), reverse=True)[1]
