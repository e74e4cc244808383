"""The M-step (Abdolmaleki et al. 2018, arXiv:1812.02256, §4.2): weighted maximum likelihood of a Gaussian, its mean and
its standard deviation each within a trust region of its own about the old policy's.

All of it is in u, the space before the tanh, where the policy is exactly Gaussian. Actions are a = tanh(u), log |da/du|
depends on no parameter, so weighted likelihoods in a and in u differ by a constant, and KLs do not differ at all.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from softrl.distributions.tanh_gaussian import TanhGaussian
from softrl.losses import weighted_mean

_LOG_2PI = math.log(2.0 * math.pi)


class Decoupled(NamedTuple):
    """Something of the mean's trust region and of the standard deviation's, `[A]` both: one for each action dimension.

    It is their KL in nats, the KL's bound ε (`[]`), its multiplier λ > 0, or log λ.
    """

    mean: jax.Array
    std: jax.Array


def divergences(new: TanhGaussian, old: TanhGaussian, weight: jax.Array) -> Decoupled:
    """E_s KL(N(μ̄, σ̄²) ‖ N(μ, σ̄²)) = E (μ − μ̄)² / 2σ̄² and E_s KL(N(μ̄, σ̄²) ‖ N(μ̄, σ²)) = E [d + ½ (e^{−2d} − 1)],
    d = log σ/σ̄.

    Args: `new`, `old`: `[B, A]` leaves, no gradient flows through the old one; `weight`: `[B]`, 0 for rows to ignore.
    """
    old = jax.lax.stop_gradient(old)
    moved = (new.mean - old.mean) * jnp.exp(-old.log_std)
    widened = new.log_std - old.log_std
    # expm1, since trust regions are as small as 1e-6 nats, where e^{−2d} − 1 has no digit left in float32.
    kls = Decoupled(0.5 * moved * moved, widened + 0.5 * jnp.expm1(-2.0 * widened))
    return jax.tree.map(lambda kl: weighted_mean(kl.T, weight), kls)


def policy_loss(
    new: TanhGaussian,
    old: TanhGaussian,
    pre_tanh: jax.Array,
    weights: jax.Array,
    multipliers: Decoupled,
    weight: jax.Array,
) -> tuple[jax.Array, Decoupled]:
    """J_π = (−E_s Σ_m w_m [log N(u_m; μ, σ̄²) + log N(u_m; μ̄, σ²)] + Σ_i λ_μi KL_μi + λ_σi KL_σi) / (1 + max λ).

    The divisor moves no minimum. Without it gradients grow with λ; Adam, whose scale is that of the last thousand
    updates, then takes longer steps, which raise the KL, which raises λ, without end (seen on Pendulum).

    Args:
      new: `[B, A]` leaves, the policy that learns.
      old: `[B, A]` leaves, the policy that acted; no gradient flows through it.
      pre_tanh: `[M, B, A]` u of the old policy's actions.
      weights: `[M, B]` of `e_step.weights`.
      multipliers: λ, `[A]` leaves; no gradient flows through them.
      weight: `[B]`, 0 for rows to ignore.
    Returns: scalar in nats, and `divergences`.
    Source: Abdolmaleki et al. 2018, arXiv:1812.02256, Eq 9 and 10. Differs: a trust region for each action dimension,
      the divisor, per-row weights.
    """
    old, multipliers = jax.lax.stop_gradient((old, multipliers))
    likelihood = _log_prob(new.mean, old.log_std, pre_tanh) + _log_prob(old.mean, new.log_std, pre_tanh)
    fit = weighted_mean(jnp.sum(weights * likelihood, axis=0), weight)
    kls = divergences(new, old, weight)
    largest = jnp.maximum(jnp.max(multipliers.mean), jnp.max(multipliers.std))
    return (jnp.sum(multipliers.mean * kls.mean + multipliers.std * kls.std) - fit) / (1.0 + largest), kls


def multiplier_loss(log_multipliers: Decoupled, kls: Decoupled, bounds: Decoupled) -> jax.Array:
    """J_λ = Σ_i λ_μi (ε_μ − sg KL_μi) + λ_σi (ε_σ − sg KL_σi): λ grows while its KL is above its bound ε.

    Args: `log_multipliers`: log λ, which keeps λ positive; `kls`: of `divergences`; `bounds`: ε `[]`, nats a dimension.
    Returns: scalar; its gradient in log λ is λ (ε − KL).
    """
    kls = jax.lax.stop_gradient(kls)
    parts = jax.tree.map(lambda log, kl, bound: jnp.sum(jnp.exp(log) * (bound - kl)), log_multipliers, kls, bounds)
    return parts.mean + parts.std


def _log_prob(mean: jax.Array, log_std: jax.Array, pre_tanh: jax.Array) -> jax.Array:
    """Σ_i log N(u_i; mean_i, std_i²) `[M, B]` of `[B, A]` parameters and `[M, B, A]` points."""
    z = (pre_tanh - mean[None]) * jnp.exp(-log_std)[None]
    return jnp.sum(-0.5 * (z * z + _LOG_2PI) - log_std[None], axis=-1)
