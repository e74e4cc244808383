"""Optimistic control without an end and without a discount: the Perron pair of one message step."""

import functools
from typing import NamedTuple

import jax

from softrl import soft
from softrl.inference import checks
from softrl.inference import mdp as model
from softrl.inference.mdp import TabularMDP
from softrl.inference.messages import log_message_matrix
from softrl.inference.perron import ONE_CLASS, log_perron


class OptimisticAverage(NamedTuple):
    """log p(O_{1:T}) = T log λ + log(p(s₁) · x) + log Σ l + o(1).

    log_rate: `[]`, log λ, nats a step; α log λ is the average soft reward. log_vector: `[S]`, log x, Σ x = 1.
    log_policy: `[S, A]`, the limit of the posterior policy far from the end. log_left_vector: `[S]`, log l, l · x = 1.
    prefactor: `[]`, log(p(s₁) · x) + log Σ l. iterations: `[]`. residual: `[]`, of the eigenvector equation, in nats.
    """

    log_rate: jax.Array
    log_vector: jax.Array
    log_policy: jax.Array
    log_left_vector: jax.Array
    prefactor: jax.Array
    iterations: jax.Array
    residual: jax.Array


def optimistic_average(
    mdp: TabularMDP, *, temperature: jax.Array | float = 1.0, tol: jax.Array | float = 1e-10, max_iterations: int = 1000
) -> OptimisticAverage:
    """Perron pair of M[s, s′] = Σ_a p(a|s) exp(r(s,a)/α) P(s′|s,a), with implicit gradients.

    M x = λ x,  π(a|s) = p(a|s) exp(r(s,a)/α) Σ_s′ P(s′|s,a) x(s′) / (λ x(s)).

    Args:
      mdp: every state must be reachable from every other (or all must lead into one class that dominates).
      temperature: α > 0, in reward units. tol: change of log x at which to stop, in nats. max_iterations: static.
    Raises:
      ValueError: a bad model or setting, or no positive x (NaN under a transformation, where values are not known).
    Source: Todorov 2007 (linearly-solvable Markov decision problems); Levine 2018, §2.3 without an end.
    """
    max_iterations = checks.count("max_iterations", max_iterations)
    mdp = model.validate(mdp)
    temperature, tol = checks.positives(mdp.transition.dtype, temperature=temperature, tol=tol)
    average = _average(mdp, temperature, tol, max_iterations)
    checks.exists("transition", (average.log_rate, average.log_vector), ONE_CLASS)
    return average


@functools.partial(jax.jit, static_argnames="max_iterations")
def _average(mdp: TabularMDP, temperature: jax.Array, tol: jax.Array, max_iterations: int) -> OptimisticAverage:
    step = log_message_matrix(mdp, mdp.reward, temperature)
    pair = log_perron(step, tol=tol, max_iterations=max_iterations)
    q = soft.optimistic_backup(mdp.reward, mdp.transition, temperature * pair.log_right, temperature)
    return OptimisticAverage(
        log_rate=pair.log_value,
        log_vector=pair.log_right,
        log_policy=soft.log_policy(q, temperature, mdp.log_prior),
        log_left_vector=pair.log_left,
        prefactor=soft.log_expectation(pair.log_right, mdp.initial) + jax.nn.logsumexp(pair.log_left),
        iterations=pair.iterations,
        residual=pair.residual,
    )
