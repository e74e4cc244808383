"""Maximum-entropy inverse reinforcement learning: the reward under which the expert is the soft-optimal agent."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl import soft
from softrl.inference import checks, messages
from softrl.inference import mdp as model
from softrl.inference.mdp import TabularMDP
from softrl.inference.minimisation import flat_directions, minimise


class InverseRL(NamedTuple):
    """weights: `[F]`, θ of least norm. reward: `[S, A]`, θ · features. dual: `[]`, the minimal loss, reward units.

    hessian: `[F, F]`, α × covariance of feature counts. rank: `[]`, of the Hessian: F − rank directions of θ change no
    probability and cannot be learned. null_space: `[F, F]`, orthonormal columns for them, zero columns elsewhere.
    gradient: `[]`, greatest |features of the model − features of the expert|. iterations: `[]`.
    """

    weights: jax.Array
    reward: jax.Array
    dual: jax.Array
    hessian: jax.Array
    rank: jax.Array
    null_space: jax.Array
    gradient: jax.Array
    iterations: jax.Array


def maxent_irl(
    mdp: TabularMDP,
    features: jax.Array,
    expert: jax.Array,
    *,
    causal: bool = True,
    horizon: int | None = None,
    temperature: jax.Array | float = 1.0,
    ridge: jax.Array | float = 0.0,
    tol: jax.Array | float = 1e-10,
    max_iterations: int = 200,
) -> InverseRL:
    """Match the expert's expected features, minimising the convex dual

    causal:     L(θ) = E_{p(s₁)} V^variational_1(θ) − θ · f,
    noncausal:  L(θ) = α log Z(θ) − θ · f,              with reward θ · features;  ∇L = f_θ − f.

    Causal is right for an expert who acts in the given dynamics; noncausal treats the expert's luck as choice, and on
    stochastic dynamics it recovers another reward.

    Args:
      mdp: its dynamics, start and prior; its own reward is not used.
      features: `[S, A, F]`.
      expert: `[T, S, A]`, state-action marginals of the expert (`visitation`, or `empirical_visitation` of data), or
        `[F]`, expected features summed over the horizon.
      causal: which of the two models.
      horizon: T; None: taken from `expert` `[T, S, A]` or a reward `[T, S, A]`.
      temperature: α of the expert, in reward units; θ is in reward units per feature.
      ridge: adds ½ ridge |θ|², for an expert whose features no finite reward matches.
      tol: greatest mismatch of features at which to stop.
    Raises:
      ValueError: bad arrays, or no horizon.
    Source: Ziebart, Bagnell and Dey 2010 (causal); Ziebart et al. 2008 (noncausal); Levine 2018, §5 and §6.
    """
    horizon = _horizon(mdp, np.shape(expert), horizon)
    checks.between("ridge", ridge, 0.0, float("inf"), closed=False)
    if not isinstance(causal, bool):
        checks.fail("causal", causal, "True or False")
    mdp = model.validate(mdp, horizon)
    states, actions = mdp.num_states, mdp.num_actions
    if np.ndim(features) != 3 or np.shape(features)[:2] != (states, actions) or np.shape(features)[2] == 0:
        checks.fail("features", features, f"[S, A, F] = ({states}, {actions}, F) with at least one feature")
    checks.finite("features", features)
    checks.finite("expert", expert)
    transition, features, expert = checks.floating(mdp.transition, features, expert)
    if expert.ndim == 3:
        checks.shape("expert", expert, (horizon, states, actions), "[T, S, A]")
        checks.distribution("expert", jnp.reshape(expert, (horizon, -1)))
        expert = feature_expectations(mdp, features, expert)
    else:
        checks.shape("expert", expert, features.shape[2:], "[F] (or [T, S, A])")
    temperature, tol = checks.positives(features.dtype, temperature=temperature, tol=tol)
    ridge = jnp.asarray(ridge, features.dtype)
    params = (mdp._replace(transition=transition), features, expert, temperature, ridge)
    return _solve(params, tol, horizon, causal, checks.count("max_iterations", max_iterations))


def feature_expectations(mdp: TabularMDP, features: jax.Array, visits: jax.Array) -> jax.Array:
    """Σ_t E f(s_t, a_t), `[F]`, of state-action marginals `visits` `[T, S, A]`; features `[S, A, F]`."""
    checks.shape("visits", visits, (*np.shape(visits)[:1], mdp.num_states, mdp.num_actions), "[T, S, A]")
    checks.shape("features", features, (*np.shape(visits)[1:], *np.shape(features)[2:]), "[S, A, F]")
    features, visits = checks.floating(features, visits)
    return jnp.einsum("tsa,saf->f", visits, features, precision=jax.lax.Precision.HIGHEST)


def empirical_visitation(states: jax.Array, actions: jax.Array, *, num_states: int, num_actions: int) -> jax.Array:
    """Frequencies `[T, S, A]` of demonstrations, `states` and `actions` `[N, T]` integers."""
    checks.rank("states", states, 2, "[N, T] with at least one step")
    checks.shape("actions", actions, np.shape(states), "[N, T], the shape of states,")
    size = num_states * num_actions
    for name, index, limit in (("states", states, num_states), ("actions", actions, num_actions)):
        known = checks.known(index)
        if not jnp.issubdtype(jnp.result_type(index), jnp.integer):
            checks.fail(name, index, "integers")
        if known is not None and not ((known >= 0) & (known < limit)).all():
            checks.fail(name, index, f"integers from 0 to {limit - 1}")
    pairs = jnp.asarray(states) * num_actions + jnp.asarray(actions)
    counts = jax.vmap(lambda column: jnp.bincount(column, length=size), in_axes=1)(pairs)
    return counts.reshape(-1, num_states, num_actions) / np.shape(states)[0]


@functools.partial(jax.jit, static_argnames=("horizon", "causal", "max_iterations"))
def _solve(params: tuple, tol: jax.Array, horizon: int, causal: bool, max_iterations: int) -> InverseRL:
    *problem, ridge = params
    _, features, expert, _ = problem
    loss = functools.partial(_loss, horizon, causal)
    start = jnp.zeros_like(expert)
    weights, (iterations, gradient) = minimise(loss, params, start, tol=tol, max_iterations=max_iterations)
    hessian = jax.hessian(loss, 1)((*problem, jnp.zeros_like(ridge)), weights)
    _, vectors, flat = flat_directions(hessian)
    return InverseRL(
        weights=weights,
        reward=features @ weights,
        dual=loss(params, weights),
        hessian=hessian,
        rank=jnp.sum(~flat),
        null_space=jax.lax.stop_gradient(jnp.where(flat[None], vectors, 0.0)),
        gradient=gradient,
        iterations=iterations,
    )


def _loss(horizon: int, causal: bool, params: tuple, weights: jax.Array) -> jax.Array:
    mdp, features, expert, temperature, ridge = params
    mdp = mdp._replace(reward=features @ weights)
    mode = "variational" if causal else "optimistic"
    v = messages.backward(mdp, temperature, None, horizon, mode).v[0]
    if causal:
        partition = soft.expectation(v, mdp.initial)
    else:
        partition = temperature * soft.log_expectation(v / temperature, mdp.initial)
    return partition - expert @ weights + 0.5 * ridge * weights @ weights


def _horizon(mdp: TabularMDP, expert_shape: tuple, horizon: int | None) -> int:
    if horizon is not None:
        return checks.count("horizon", horizon)
    if len(expert_shape) == 3:
        return expert_shape[0]
    if np.ndim(mdp.reward) == 3:
        return np.shape(mdp.reward)[0]
    raise ValueError(f"horizon: got None with expert of shape {expert_shape}, expected T (or expert as [T, S, A])")
