"""Gumbel regression: the log of an expected exponential from samples alone."""

import jax
import jax.numpy as jnp
import numpy as np

from softrl import soft
from softrl.inference import checks


def gumbel_loss(
    prediction: jax.Array, target: jax.Array, *, beta: jax.Array | float, clip: float | None = None
) -> jax.Array:
    """Gumbel regression, e^z − z − 1 with z = (target − prediction)/β; its mean is least at β log E exp(target/β).

    With targets Q(s, a), a ~ p(a|s), that is the soft value under the prior p; with V(s′), s′ ~ P, it is the optimistic
    backup from samples alone. β < 0 is its risk-averse mirror.

    Args:
      prediction, target: of one shape.
      beta: β ≠ 0, scalar, in units of the target.
      clip: beyond z = clip the exponential goes on as its tangent, so that the loss stays convex and finite; exact
        while no residual at the optimum exceeds it. A plateau instead of the tangent has a spurious minimum.
    Returns: elementwise, dimensionless.
    Source: Garg et al. 2023, arXiv:2301.02328 (extreme Q-learning); its clip is a plateau.
    """
    _check_beta(beta)
    checks.shape("target", target, np.shape(prediction), "the shape of prediction,")
    prediction, target = checks.floating(prediction, target)
    z = (target - prediction) / beta
    if clip is None:
        return jnp.expm1(z) - z
    inside = jnp.minimum(z, clip)
    return jnp.expm1(inside) - z + jnp.exp(clip) * (z - inside)


def gumbel_regression(
    samples: jax.Array, *, beta: jax.Array | float, log_weights: jax.Array | None = None
) -> jax.Array:
    """The minimiser of the mean `gumbel_loss` over `samples` `[N]`, β log Σ w exp(x/β), in closed form.

    Args: log_weights: `[N]`, normalised log w; None: 1/N each. beta as in `gumbel_loss`.
    """
    _check_beta(beta)
    checks.rank("samples", samples, 1, "[N] with at least one sample")
    if log_weights is None:
        log_weights = np.full(np.shape(samples), -np.log(np.shape(samples)[0]))
    checks.finite("samples", samples)
    checks.log_policy("log_weights", log_weights, np.shape(samples), "[N]")
    samples, log_weights = checks.floating(samples, log_weights)
    return soft.value(samples, beta, log_weights)


def _check_beta(beta: jax.Array | float) -> None:
    checks.scalar("beta", beta)
    if (known := checks.known(beta)) is not None and (known == 0 or not np.isfinite(known)):
        checks.fail("beta", beta, "a number other than 0")
