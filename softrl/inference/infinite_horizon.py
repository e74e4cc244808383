"""Discounted soft control on tables: value iteration, policy evaluation and policy iteration."""

import functools
import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl import soft
from softrl.inference import checks, implicit
from softrl.inference import mdp as model
from softrl.inference.log_matrix import log_or_minus_infinity, log_ratio
from softrl.inference.mdp import TabularMDP
from softrl.inference.trajectory_posterior import tilt

DISCOUNTS = ("absorbing", "scaled")
CONTRACTS = (
    "lower rewards, a smaller gamma or a normalised log_prior; or discount='scaled', which always contracts, or "
    "mode='variational'"
)


class SoftValues(NamedTuple):
    """A fixed point of the soft Bellman operator.

    q: `[S, A]`. v: `[S]`, α log Σ_a p(a|s) exp(q/α). log_policy: `[S, A]`. All in reward units but the policy.
    iterations: `[]`. residual: `[]`, sup |T(v) − v|; greater than the tolerance means it did not converge.
    """

    q: jax.Array
    v: jax.Array
    log_policy: jax.Array
    iterations: jax.Array
    residual: jax.Array


class PolicyValues(NamedTuple):
    """Soft values of one policy: `q` `[S, A]`, `v` `[S]`, in reward units."""

    q: jax.Array
    v: jax.Array


def soft_value_iteration(
    mdp: TabularMDP,
    *,
    gamma: jax.Array | float,
    temperature: jax.Array | float = 1.0,
    tol: jax.Array | float = 1e-10,
    mode: str = "variational",
    discount: str = "absorbing",
    max_iterations: int = 100_000,
) -> SoftValues:
    """The fixed point V(s) = α log Σ_a p(a|s) exp(Q(s,a)/α), with implicit gradients.

    variational:            Q = r + γ E V(s′),                          a γ-contraction;
    optimistic, absorbing:  Q = r + α log(γ E exp(V(s′)/α) + 1 − γ),    the exact posterior of
                            `with_absorbing_discount`; finite where the discounted evidence is (always if r ≤ 0 and the
                            prior is normalised);
    optimistic, scaled:     Q = r + γ α log E exp(V(s′)/α),             a γ-contraction, but no posterior.

    As α → 0 these become value iteration; best-case planning with a best case of being absorbed at once; best-case
    planning max_a [r + γ max_{s′: P > 0} V(s′)].

    Args:
      gamma: γ in [0, 1). temperature: α > 0, in reward units.
      tol: the contractions stop within `tol` of the fixed point in the sup norm (never closer than rounding allows).
      mode, discount: "variational" or "optimistic"; "absorbing" or "scaled", which matters in the optimistic mode only.
      max_iterations: values of a γ near 1 need some log(tol (1 − γ)) / log γ; where they have fewer, a RuntimeWarning
        says so (known values only), and `soft_policy_iteration` needs about ten.
    Raises:
      ValueError: a bad model or setting, or an infinite discounted evidence (known values only; under a transformation
        `residual` stays large).
    Source: Levine 2018, arXiv:1805.00909, §2.5, §3.1; Haarnoja et al. 2017, arXiv:1702.08165, Theorem 2.
    """
    checks.choice("mode", mode, checks.MODES)
    checks.choice("discount", discount, DISCOUNTS)
    kind = mode if mode == "variational" else discount
    max_iterations = checks.count("max_iterations", max_iterations)
    problem = _validate(mdp, gamma, temperature, tol)
    if kind == "absorbing":
        _check_evidence(*problem[:3])
    return _told(
        _fixed_point((*problem, max_iterations, None), kind), max_iterations, tol, "soft_policy_iteration, or "
    )


def soft_policy_iteration(
    mdp: TabularMDP,
    *,
    gamma: jax.Array | float,
    temperature: jax.Array | float = 1.0,
    tol: jax.Array | float = 1e-10,
    log_policy: jax.Array | None = None,
    max_iterations: int = 100,
) -> SoftValues:
    """Evaluate, π ← exp((Q_π − V)/α), repeat: monotone improvement to the variational fixed point, quadratically fast.

    Args:
      log_policy: `[S, A]` to start from; None: the prior (uniform for the counting measure).
      max_iterations: policy evaluations at most. After k of them `v` is the soft value of an improved policy.
      Other arguments as in `soft_value_iteration`. Implicit gradients, of the fixed point.
    Source: Haarnoja et al. 2018, arXiv:1801.01290, Theorem 1; Levine 2018, §4.2.
    """
    mdp, *settings = _validate(mdp, gamma, temperature, tol)
    max_iterations = checks.count("max_iterations", max_iterations)
    if log_policy is None:
        log_policy = soft.log_policy(jnp.zeros_like(mdp.reward), 1.0, mdp.log_prior)
    else:
        log_policy = _validate_policy(mdp, log_policy)
    return _told(_fixed_point((mdp, *settings, max_iterations, log_policy), "variational"), max_iterations, tol)


def soft_policy_evaluation(
    mdp: TabularMDP, log_policy: jax.Array, *, gamma: jax.Array | float, temperature: jax.Array | float = 1.0
) -> PolicyValues:
    """Soft value of a given policy in the model's own dynamics, by one linear solve.

    V = (I − γ P_π)⁻¹ Σ_a π ( r − α log π + α log p ),  Q = r + γ E V(s′).

    Args:
      log_policy: `[S, A]`, log π(a|s). Other arguments as in `soft_value_iteration`.
    Returns:
      `PolicyValues`; −inf where the policy can come to take an action that the prior rules out.
    Source: Haarnoja et al. 2018, arXiv:1801.01290, Lemma 1.
    """
    mdp, gamma, temperature, _ = _validate(mdp, gamma, temperature, 1.0)
    return _evaluate(mdp, _validate_policy(mdp, log_policy), gamma, temperature)


def _told(values: SoftValues, max_iterations: int, tol: jax.Array | float, other: str = "") -> SoftValues:
    """The values; a warning where they are known and there were too few iterations. `other`: what else may help."""
    count, error, limit = (checks.known(x) for x in (values.iterations, values.residual, tol))
    if count is not None and limit is not None and np.any((count >= max_iterations) & ~(error <= limit)):
        said = (
            f"no fixed point after {max_iterations:,} iterations: residual {np.max(error):.3g}, tol {np.max(limit):.3g}"
        )
        warnings.warn(f"{said}; take {other}more max_iterations", RuntimeWarning, stacklevel=3)
    return values


@functools.partial(jax.jit, static_argnames="kind")
def _fixed_point(params: tuple, kind: str) -> SoftValues:
    """By policy iteration from the policy that is the last of the parameters, by value iteration where it is None."""
    residual = lambda params, v: _bellman(params, v, kind) - v
    slope = lambda params, v: _next_state_weights(params, v, kind) - jnp.eye(v.size, dtype=v.dtype)
    v, (iterations, error) = implicit.root(functools.partial(_iterate, kind=kind), residual, slope, params)
    mdp, gamma, temperature = params[:3]
    q = _back_up(mdp, gamma, temperature, v, kind)
    policy = soft.log_policy(q, temperature, mdp.log_prior)
    return SoftValues(q, soft.value(q, temperature, mdp.log_prior), policy, iterations, error)


def _iterate(params: tuple, kind: str) -> tuple[jax.Array, tuple]:
    mdp, gamma, temperature, tol, max_iterations, log_policy = params
    bellman = functools.partial(_bellman, params, kind=kind)

    def improve(now: tuple) -> tuple[jax.Array, jax.Array]:
        q, v = _evaluate(mdp, now[1], gamma, temperature)
        return v, soft.log_policy(q, temperature, mdp.log_prior)

    start = jnp.zeros_like(mdp.initial)
    if log_policy is None:
        limit = tol * (1 - gamma) / jnp.maximum(gamma, jnp.finfo(gamma.dtype).tiny)
        v, count = implicit.iterate(bellman, start, tol=limit, max_iterations=max_iterations)
    else:
        (v, _), count = implicit.iterate(improve, (start, log_policy), tol=tol, max_iterations=max_iterations)
    return v, (count, jnp.max(jnp.abs(bellman(v) - v)))


def _bellman(params: tuple, v: jax.Array, kind: str) -> jax.Array:
    mdp, gamma, temperature = params[:3]
    return soft.value(_back_up(mdp, gamma, temperature, v, kind), temperature, mdp.log_prior)


def _back_up(mdp: TabularMDP, gamma: jax.Array, temperature: jax.Array, v: jax.Array, kind: str) -> jax.Array:
    if kind == "variational":
        return soft.backup(mdp.reward, gamma, soft.expectation(v, mdp.transition))
    lucky = soft.optimistic_backup(jnp.zeros_like(mdp.reward), mdp.transition, v, temperature)
    if kind == "scaled":
        return soft.backup(mdp.reward, gamma, lucky)
    log_stay, log_leave = log_or_minus_infinity(gamma), jnp.log1p(-gamma)
    return mdp.reward + temperature * jnp.logaddexp(log_stay + lucky / temperature, log_leave)


def _next_state_weights(params: tuple, v: jax.Array, kind: str) -> jax.Array:
    """∂T(v)/∂v `[S, S]`: the policy's weights on next states, which sum to at most γ or to less than 1."""
    mdp, gamma, temperature = params[:3]
    q = _back_up(mdp, gamma, temperature, v, kind)
    weights = gamma * mdp.transition
    if kind != "variational":
        weights = gamma * tilt(mdp.transition, v / temperature)
    if kind == "absorbing":
        lucky = soft.log_expectation(v / temperature, mdp.transition)
        weights *= jnp.exp(lucky - (q - mdp.reward) / temperature)[..., None]
    policy = jnp.exp(soft.log_policy(q, temperature, mdp.log_prior))
    return jnp.einsum("sa,sax->sx", policy, weights, precision=jax.lax.Precision.HIGHEST)


@jax.jit
def _evaluate(mdp: TabularMDP, log_policy: jax.Array, gamma: jax.Array, temperature: jax.Array) -> PolicyValues:
    prior = model.prior_or_zero(mdp)
    policy = jnp.exp(log_policy)
    earned = soft.sampled_value(mdp.reward, log_ratio(log_policy, prior), temperature)
    forbidden = (policy > 0) & (prior == -jnp.inf)
    stay = gamma * jnp.einsum("sa,sax->sx", policy, mdp.transition, precision=jax.lax.Precision.HIGHEST)
    v = jnp.linalg.solve(jnp.eye(stay.shape[0], dtype=stay.dtype) - stay, jnp.sum(policy * earned, axis=-1))
    q = soft.backup(mdp.reward, gamma, soft.expectation(v, mdp.transition))
    leads = (gamma > 0) & (mdp.transition > 0)
    doomed = _reaching(jnp.any(forbidden, axis=-1), jnp.any((policy > 0)[..., None] & leads, axis=1))
    return PolicyValues(
        jnp.where(jnp.any(leads & doomed[None, None], axis=-1), -jnp.inf, q), jnp.where(doomed, -jnp.inf, v)
    )


def _reaching(bad: jax.Array, leads: jax.Array) -> jax.Array:
    """States from which a bad one can be reached, itself among them. Args: `bad`: `[S]`; `leads`: `[S, S]` bool."""
    more = lambda reached: reached | jnp.any(leads & reached[None], axis=-1)
    return jax.lax.while_loop(lambda x: jnp.any(more(x) != x), more, bad)


def _validate(mdp: TabularMDP, gamma: jax.Array, temperature: jax.Array, tol: jax.Array) -> tuple:
    checks.between("gamma", gamma, 0.0, 1.0, closed=False)
    mdp = model.validate(mdp)
    dtype = mdp.transition.dtype
    return mdp, jnp.asarray(gamma, dtype), *checks.positives(dtype, temperature=temperature, tol=tol)


def _check_evidence(mdp: TabularMDP, gamma: jax.Array, temperature: jax.Array) -> None:
    """β = γ M β + (1 − γ) m has a positive solution only where the powers of γ M die out."""
    known = [checks.known(x) for x in (mdp.transition, mdp.reward, model.prior_or_zero(mdp), gamma, temperature)]
    if any(x is None for x in known) or known[3] == 0:
        return
    transition, reward, prior, gamma, temperature = (x.astype(np.float64) for x in known)
    logits = reward / temperature + prior + np.log(gamma)
    top = logits.max()
    steps = np.einsum("sa,sax->sx", np.exp(logits - top), transition)
    checks.spectral_radius_below_one("reward", steps, top, CONTRACTS)


def _validate_policy(mdp: TabularMDP, log_policy: jax.Array) -> jax.Array:
    checks.log_policy("log_policy", log_policy, np.shape(mdp.reward), "[S, A]")
    return jnp.asarray(log_policy, mdp.transition.dtype)
