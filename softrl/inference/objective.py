"""What the inference optimises: the evidence lower bound, its gap, and the price of luck between the two backups."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl import soft
from softrl.inference import checks, messages
from softrl.inference import mdp as model
from softrl.inference.log_matrix import log_ratio
from softrl.inference.mdp import TabularMDP
from softrl.inference.trajectory_posterior import posterior, tilt, visitation


class StructuredPosterior(NamedTuple):
    """The best q(τ) = q(s₁) Π π_t(a_t|s_t) q_t(s_{t+1}|s_t,a_t) when luck has a price.

    bound: `[]`, the optimal value in nats: log evidence at price 1, the best ELBO at price ∞.
    log_policy: `[T, S, A]`. initial: `[S]`, q(s₁). dynamics: `[T − 1, S, A, S]`.
    """

    bound: jax.Array
    log_policy: jax.Array
    initial: jax.Array
    dynamics: jax.Array


def elbo(mdp: TabularMDP, log_policy: jax.Array, *, temperature: jax.Array | float = 1.0) -> jax.Array:
    """Evidence lower bound of a policy run in the model's own dynamics, in nats.

    ELBO(π) = E_{p(s₁), π, P} Σ_t [ r_t/α − log π_t(a_t|s_t) + log p(a_t|s_t) ] = log p(O_{1:T}) − KL(q_π ‖ p(·|O)).

    Args:
      log_policy: `[T, S, A]`, normalised over A; T is the horizon.
      temperature: α > 0, in reward units; α times the result is the maximum-entropy return in reward units.
    Returns:
      `[]`; −inf where the policy takes, with positive probability, an action that the prior rules out.
    Raises:
      ValueError: a bad model or setting, a policy of the wrong shape.
    Source: Levine 2018, arXiv:1805.00909, §2.4, §3.2.
    """
    return _elbo(*_validate(mdp, log_policy, temperature))


def trajectory_kl(mdp: TabularMDP, log_policy: jax.Array, *, temperature: jax.Array | float = 1.0) -> jax.Array:
    """KL(q_π ‖ p(τ|O_{1:T})) of a policy run in the model's own dynamics, in nats.

    By the chain rule: KL of the start + Σ_t E_q[ KL(π_t ‖ posterior policy) + KL(P ‖ posterior dynamics) ].
    Args as in `elbo`. Returns `[]`, +inf where `elbo` is −inf.
    Source: Levine 2018, §2.4, §3.2.
    """
    return _trajectory_kl(*_validate(mdp, log_policy, temperature))


def optimism_gap(mdp: TabularMDP, horizon: int, *, temperature: jax.Array | float = 1.0) -> jax.Array:
    """log p(O_{1:T}) − max_π ELBO(π), in nats: what exact inference promises beyond what any policy can earn.

    Never negative; 0 where the dynamics are deterministic and the start is a point (a spread start keeps a gap of its
    own, because no policy chooses it). Args as in `messages.backward_messages`.
    Source: Levine 2018, §2.4, §3.1.
    """
    evidence = posterior(mdp, horizon, temperature=temperature).log_evidence
    variational = messages.backward_messages(mdp, horizon, temperature=temperature, mode="variational")
    mdp = model.validate(mdp, horizon)
    return evidence - soft.expectation(variational.v[0], mdp.initial) / temperature


def structured_posterior(
    mdp: TabularMDP,
    horizon: int,
    *,
    temperature: jax.Array | float = 1.0,
    dynamics_price: jax.Array | float = 1.0,
) -> StructuredPosterior:
    """Between exact inference and maximum-entropy control: q may bend the dynamics, at a price.

    max_q E_q Σ_t [ r_t/α − log π/p(a|s) ] − λ ( KL(q(s₁) ‖ p(s₁)) + Σ_t E_q KL(q_t(s′|s,a) ‖ P) ),
    solved by Q = r + λα log E exp(V/(λα)) and q_t(s′|s,a) ∝ P exp(V_{t+1}(s′)/(λα)).

    Args:
      dynamics_price: λ in (0, ∞], per nat of luck. 1 is `posterior`; `jnp.inf` is the variational policy in the model's
        own dynamics, exactly; below 1 luck is cheaper than Bayes' rule allows.
    Source: Levine 2018, §3.2 (the two ends); risk-sensitive control for the way between.
    """
    checks.positive("dynamics_price", dynamics_price, infinite=True)
    mdp, temperature = messages.validate(mdp, horizon, temperature)
    return _structured(mdp, temperature, jnp.asarray(dynamics_price, mdp.transition.dtype), horizon)


@jax.jit
def _elbo(mdp: TabularMDP, log_policy: jax.Array, temperature: jax.Array) -> jax.Array:
    visits = visitation(mdp.initial, log_policy, mdp.transition)
    prior = model.prior_or_zero(mdp)[None]
    rewards = model.rewards_over_time(mdp, log_policy.shape[0])
    bound = jnp.sum(visits * (rewards / temperature - log_ratio(log_policy, prior)))
    return jnp.where(_breaks_prior(visits, prior), -jnp.inf, bound)


@jax.jit
def _trajectory_kl(mdp: TabularMDP, log_policy: jax.Array, temperature: jax.Array) -> jax.Array:
    visits = visitation(mdp.initial, log_policy, mdp.transition)
    backward = messages.backward(mdp, temperature, None, log_policy.shape[0], "optimistic")
    v = backward.v / temperature
    start = soft.log_expectation(v[0], mdp.initial) - soft.expectation(v[0], mdp.initial)
    luck = jax.vmap(lambda v: soft.log_expectation(v, mdp.transition) - soft.expectation(v, mdp.transition))(v[1:])
    kl = start + jnp.sum(visits * (log_ratio(log_policy, backward.log_policy) + luck))
    return jnp.where(_breaks_prior(visits, model.prior_or_zero(mdp)[None]), jnp.inf, kl)


@functools.partial(jax.jit, static_argnames="horizon")
def _structured(mdp: TabularMDP, temperature: jax.Array, price: jax.Array, horizon: int) -> StructuredPosterior:
    cost = temperature * price
    backward = messages.backward(mdp, temperature, cost, horizon, "priced")
    start = mdp.initial[None, None]
    bound = soft.priced_backup(jnp.zeros((1, 1), start.dtype), start, backward.v[0], cost)[0, 0] / temperature
    tilted = jax.vmap(_tilt, (None, 0, None))(mdp.transition, backward.v[1:-1], cost)
    return StructuredPosterior(bound, backward.log_policy, _tilt(mdp.initial, backward.v[0], cost), tilted)


def _tilt(probabilities: jax.Array, value: jax.Array, cost: jax.Array) -> jax.Array:
    finite = jnp.isfinite(cost)
    return jnp.where(finite, tilt(probabilities, value / jnp.where(finite, cost, 1.0)), probabilities)


def _breaks_prior(visits: jax.Array, prior: jax.Array) -> jax.Array:
    return jnp.any((visits > 0) & (prior == -jnp.inf))


def _validate(
    mdp: TabularMDP, log_policy: jax.Array, temperature: jax.Array | float
) -> tuple[TabularMDP, jax.Array, jax.Array]:
    checks.rank("log_policy", log_policy, 3, "[T, S, A] with T, S and A at least 1")
    horizon = np.shape(log_policy)[0]
    mdp, temperature = messages.validate(mdp, horizon, temperature)
    checks.log_policy("log_policy", log_policy, (horizon, mdp.num_states, mdp.num_actions), "[T, S, A]")
    return mdp, jnp.asarray(log_policy, mdp.transition.dtype), temperature
