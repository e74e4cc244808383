"""The equations of adversarial inverse reinforcement learning: logits, the discriminator's loss, penalties.

Source: Fu et al. 2018, arXiv:1710.11248; Finn et al. 2016, arXiv:1611.03852 (the form f − log π); Kostrikov et al.
2019, arXiv:1809.02925 (the end of an episode as a state with a reward of its own).
"""

import jax
import jax.numpy as jnp

from softrl.losses import weighted_mean


def shaped(reward: jax.Array, potential: jax.Array, potential_after: jax.Array) -> jax.Array:
    """f = g + γ h(s′) − h(s), what an action is better than the policy's mean. All `[B]`, in nats.

    Args: `reward`: g; `potential`: h(s); `potential_after`: γ h(s′), or its mean over s′.
    """
    return reward + potential_after - potential


def discriminator(shown: jax.Array, acted: jax.Array, shown_weight: jax.Array, acted_weight: jax.Array) -> jax.Array:
    """−E_E[log D] − E_π[log(1 − D)], D = σ(f − log π), in its stable form E_E[softplus(−l)] + E_π[softplus(l)].

    At its minimum l = log ρ_E/ρ_π, so f = log π + log ρ_E/ρ_π, and log π_E where the policy is the expert's.
    Args: `shown`, `acted`: logits f − log π `[B]` at the expert's rows and at the policy's; the weights `[B]` of each.
    Returns: scalar, nats; 2 log 2 where nothing can be told apart.
    """
    real = weighted_mean(jax.nn.softplus(-shown), shown_weight)
    return real + weighted_mean(jax.nn.softplus(acted), acted_weight)


def potential_after(estimate: jax.Array, sampled: jax.Array, weight: jax.Array) -> jax.Array:
    """½ E[w (ĥ(s,a) − γ h(s′))²], least for the mean over s′.

    Args: all `[B]`. Returns: scalar, nats².
    """
    error = estimate - jax.lax.stop_gradient(sampled)
    return weighted_mean(0.5 * error * error, weight)


def slope(gradient: jax.Array, weight: jax.Array) -> jax.Array:
    """E[w |∂f/∂x|²] of gradients `[B, I]` in a network's inputs: functions that are steep between the rows cost."""
    return weighted_mean(jnp.sum(gradient * gradient, axis=-1), weight)
