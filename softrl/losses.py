"""Approximate messages: the losses of deep maximum-entropy learners, one equation a function.

Rows of weight 0 do not count and may hold any finite value. Targets are constants: no gradient flows through them.
"""

import jax
import jax.numpy as jnp

from softrl import soft
from softrl.distributions import atoms
from softrl.inference import gumbel_loss

GUMBEL_CLIP = 5.0
"""Of the optimistic critic's residuals, in units of β: e⁵ is the greatest slope."""


def weighted_mean(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Σ_b w_b x_b / max(Σ_b w_b, 1) over the last axis; rows of weight 0 may hold any finite value.

    Args: `x` `[..., B]`, `weight` `[B]`. Returns: `[...]`.
    """
    return x @ weight / jnp.maximum(jnp.sum(weight), 1.0)


def critic(q: jax.Array, target: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Soft Bellman error of the ensemble, J_Q = Σ_k ½ E[w (Q_k(s,a) − y)²].

    Args:
      q: `[K, B]` current estimates, in units of return.
      target: `[B]` y = `soft.backup(r, discount, V(s′))`; no gradient flows through it.
      weight: `[B]`, 0 for rows to ignore.
    Returns: Scalar loss (return²) and the TD errors `[K, B]`, Q − y.
    Source: Haarnoja et al. 2018, arXiv:1812.05905, Eq 5. Differs: K critics summed, per-row weights.
    """
    td_error = q - jax.lax.stop_gradient(target)[None, :]
    return jnp.sum(weighted_mean(0.5 * td_error * td_error, weight)), td_error


def optimistic_critic(
    q: jax.Array, target: jax.Array, weight: jax.Array, *, beta: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Gumbel regression of the ensemble, Σ_k β² E[w (e^z − z − 1)], z = (y − Q_k(s,a))/β; least at β log E exp(y/β).

    With y = r + γ V(s′) and β = γ α that is r + γ α log E exp(V(s′)/α), the optimistic backup from samples, which
    infers dynamics too. Beyond z = `GUMBEL_CLIP` the exponential goes on as its tangent.
    Args: as `critic`; beta: `[]` > 0, in units of return, no gradient flows through it.
    Returns: Scalar loss (return²), to second order `critic`'s, and Q − y `[K, B]`.
    Source: Garg et al. 2023, arXiv:2301.02328, over successors; Levine 2018, §2.3–2.4.
    """
    target, beta = jnp.broadcast_to(jax.lax.stop_gradient(target)[None], q.shape), jax.lax.stop_gradient(beta)
    loss = beta * beta * gumbel_loss(q, target, beta=beta, clip=GUMBEL_CLIP)
    return jnp.sum(weighted_mean(loss, weight)), q - target


def categorical_critic(
    log_probs: jax.Array, target: jax.Array, weight: jax.Array, *, bound: jax.Array | float
) -> tuple[jax.Array, jax.Array]:
    """Cross-entropy of the ensemble's distributions of soft returns, J_Q = −Σ_k E[w Σ_i m_i log p_k,i(s,a)].

    Args:
      log_probs: `[K, B, n]` log p of the atoms from −bound to bound, in nats.
      target: `[B, n]` m, probabilities of the same atoms (`distributions.atoms.projected`); no gradient flows through.
      weight: `[B]`, 0 for rows to ignore.
      bound: the largest atom, in units of return.
    Returns: scalar loss (nats) and the differences of means `[K, B]`, in units of return.
    Source: Bellemare et al. 2017, arXiv:1707.06887, Eq 7. Differs: K critics summed, per-row weights.
    """
    target = jax.lax.stop_gradient(target)[None]
    loss = jnp.sum(weighted_mean(-jnp.sum(target * log_probs, axis=-1), weight))
    support = atoms.atoms(log_probs.shape[-1], bound)[None, None]
    return loss, jnp.sum((jnp.exp(log_probs) - target) * support, axis=-1)


def value(v: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
    """J_V = ½ E[w (V(s) − (min_k Q_k(s,a) − α log π(a|s)))²], a ~ π.

    Args:
      v: `[B]` current estimate, in units of return.
      target: `[B]` `soft.sampled_value` of a fresh action; no gradient flows through it.
      weight: `[B]`, 0 for rows to ignore.
    Returns: scalar (return²).
    Source: Haarnoja et al. 2018, arXiv:1801.01290, Eq 5; Levine 2018, §4.2. Differs: min over K critics.
    """
    error = v - jax.lax.stop_gradient(target)
    return weighted_mean(0.5 * error * error, weight)


def policy(
    q: jax.Array, log_prob: jax.Array, weight: jax.Array, *, temperature: jax.Array, log_prior: jax.Array | float = 0.0
) -> jax.Array:
    """J_π = −E[w (Q(s,a) − α (log π(a|s) − log p(a|s)))], a ~ π reparameterised; KL(π ‖ p e^{Q/α}) up to a constant.

    Args:
      q: `[B]` (reduced over the ensemble) value of a sampled action, gradient flowing through the action.
      log_prob: `[B]` of that action, in nats.
      weight: `[B]`, 0 for rows to ignore.
      temperature: α `[]`; no gradient flows through it.
      log_prior: `[B]` log density of the action prior; 0 is the Lebesgue measure (plain entropy).
    Returns: scalar, in units of return.
    Source: Haarnoja et al. 2018, arXiv:1812.05905, Eq 7; Levine 2018, §4.2.
    """
    return -weighted_mean(soft.sampled_value(q, log_prob, jax.lax.stop_gradient(temperature), log_prior), weight)


def score(log_prob: jax.Array, advantage: jax.Array, weight: jax.Array, *, ratio: jax.Array | float = 1.0) -> jax.Array:
    """J = −E[w ρ Â log π(a|s)], whose gradient is minus the policy gradient, −E[w ρ Â ∇ log π(a|s)].

    Args:
      log_prob: `[B]` log π(a|s) of the actions that were taken, in nats.
      advantage: `[B]` Â, of soft returns; no gradient flows through it.
      weight: `[B]`, 0 for rows to ignore.
      ratio: `[B]` ρ = π(a|s)/μ(a|s) where another policy μ took them, 1 where π did; no gradient flows through it.
    Returns: scalar, in units of return.
    Source: Levine 2018, §4.1. Differs: importance weights, of the step alone.
    """
    return -weighted_mean(jax.lax.stop_gradient(ratio * advantage) * log_prob, weight)


def clipped(moved: jax.Array, advantage: jax.Array, weight: jax.Array, *, clip_range: jax.Array | float) -> jax.Array:
    """J = −E[w min(ρ Â, clip(ρ, 1 − ε, 1 + ε) Â)]: where ρ has moved by ε to the advantage's side, nothing is gained.

    Args:
      moved: `[B]` log ρ = log π(a|s) − log π_old(a|s), in nats, π_old the policy that took the actions.
      advantage: `[B]` Â, of soft returns; no gradient flows through it.
      weight: `[B]`, 0 for rows to ignore.
      clip_range: ε `[]`.
    Returns: scalar, in units of return.
    Source: Schulman et al. 2017, arXiv:1707.06347, Eq 7.
    """
    ratio, advantage = jnp.exp(moved), jax.lax.stop_gradient(advantage)
    bounded = jnp.clip(ratio, 1.0 - clip_range, 1.0 + clip_range)
    return -weighted_mean(jnp.minimum(ratio * advantage, bounded * advantage), weight)


def temperature(
    log_temperature: jax.Array, log_prob: jax.Array, weight: jax.Array, *, target_entropy: jax.Array
) -> jax.Array:
    """J_α = α · sg(E[−log π(a|s)] − H̄): α grows while the policy's entropy is below its target H̄.

    Args:
      log_temperature: `[]` log α, which keeps α positive.
      log_prob: `[B]`, in nats, relative to the action prior where there is one.
      weight: `[B]`, 0 for rows to ignore.
      target_entropy: H̄ `[]`, in nats, relative to the same base measure.
    Returns: scalar; its gradient in log α is α (H − H̄).
    Source: Haarnoja et al. 2018, arXiv:1812.05905, Eq 18. Differs: per-row weights.
    """
    entropy = -weighted_mean(log_prob, weight)
    return jnp.exp(log_temperature) * jax.lax.stop_gradient(entropy - target_entropy)


def log_temperature(
    log_temperature: jax.Array, log_prob: jax.Array, weight: jax.Array, *, target_entropy: jax.Array
) -> jax.Array:
    """J_α = log α · sg(E[−log π(a|s)] − H̄): as `temperature`, but its gradient in log α, H − H̄, does not fade with α.

    Args: as `temperature`. Returns: scalar, in nats.
    Source: the code of Haarnoja et al. 2018, arXiv:1812.05905, and Stable-Baselines3's.
    """
    entropy = -weighted_mean(log_prob, weight)
    return log_temperature * jax.lax.stop_gradient(entropy - target_entropy)
