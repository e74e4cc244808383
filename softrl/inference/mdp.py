"""The graphical model: a Markov decision process on tables, with an action prior and optimality variables."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softrl.inference import checks


class TabularMDP(NamedTuple):
    """p(τ, O) = p(s₁) Π_t p(a_t|s_t) exp(r(s_t, a_t)/α) P(s_{t+1}|s_t, a_t).

    transition: `[S, A, S]`, P(s′|s, a); rows sum to 1.
    reward: `[S, A]`, or `[T, S, A]` where it changes with time; finite, in reward units.
    initial: `[S]`, p(s₁).
    log_prior: `[S, A]`, log p(a|s), −inf where an action does not exist; None is the counting measure (every action
      weighs 1), so that what other models call evidence is then the partition function, larger by T log A.

    Leaves are checked by the functions that use them, not here: under `jax.vmap` a model may hold a batch, or axes.
    Source: Levine 2018, arXiv:1805.00909, §2.1–2.2.
    """

    transition: jax.Array
    reward: jax.Array
    initial: jax.Array
    log_prior: jax.Array | None = None

    @property
    def num_states(self) -> int:
        """S."""
        return np.shape(self.transition)[0]

    @property
    def num_actions(self) -> int:
        """A."""
        return np.shape(self.transition)[1]


def validate(mdp: TabularMDP, horizon: int | None = None) -> TabularMDP:
    """The model in one floating dtype, after every check that can be made; values that are being traced are trusted.

    Args:
      horizon: T; a reward `[T, S, A]` must agree with it. None: an infinite horizon, the reward must be `[S, A]`.
    Raises:
      ValueError: names the argument, its shape and what was expected.
    """
    if not isinstance(mdp, TabularMDP):
        raise ValueError(f"mdp: got a {type(mdp).__name__}, expected a TabularMDP")
    states, actions = checks.sizes(mdp.transition)
    checks.distribution("transition", mdp.transition)
    if np.ndim(mdp.reward) == 3 and horizon is not None:
        checks.finite("reward", mdp.reward, (horizon, states, actions), "[T, S, A]")
    else:
        checks.finite("reward", mdp.reward, (states, actions), "[S, A]")
    checks.distribution("initial", mdp.initial, (states,), "[S]")
    if mdp.log_prior is not None:
        checks.log_prior("log_prior", mdp.log_prior, (states, actions), "[S, A]")
    return TabularMDP(*checks.floating(*mdp))


def with_absorbing_discount(mdp: TabularMDP, gamma: jax.Array | float) -> TabularMDP:
    """The same model with a discount: every step ends, with probability 1 − γ, in a new last state that never pays.

    The new state has a single action (the others have log prior −inf), hence no entropy: its soft value is 0 in every
    mode and at every temperature. With several actions it would leak α log A a step.

    Args:
      gamma: γ in [0, 1].
    Returns:
      A model of S + 1 states; its `log_prior` is never None.
    Source: Levine 2018, §2.5.
    """
    checks.between("gamma", gamma, 0.0, 1.0, closed=True)
    horizon = np.shape(mdp.reward)[0] if np.ndim(mdp.reward) == 3 else None
    mdp = validate(mdp, horizon)
    states, actions = mdp.num_states, mdp.num_actions
    dtype = mdp.transition.dtype
    gamma = jnp.asarray(gamma, dtype)
    leave = jnp.broadcast_to(1 - gamma, (states, actions, 1))
    stay = jnp.broadcast_to(jax.nn.one_hot(states, states + 1, dtype=dtype), (1, actions, states + 1))
    single = jnp.full((1, actions), -jnp.inf, dtype).at[0, 0].set(0.0)
    return TabularMDP(
        transition=jnp.concatenate([jnp.concatenate([gamma * mdp.transition, leave], -1), stay]),
        reward=jnp.concatenate([mdp.reward, jnp.zeros((*mdp.reward.shape[:-2], 1, actions), dtype)], axis=-2),
        initial=jnp.append(mdp.initial, jnp.zeros((), dtype)),
        log_prior=jnp.concatenate([prior_or_zero(mdp), single]),
    )


def rewards_over_time(mdp: TabularMDP, horizon: int) -> jax.Array:
    """The reward as `[T, S, A]`."""
    return jnp.broadcast_to(mdp.reward, (horizon, mdp.num_states, mdp.num_actions))


def prior_or_zero(mdp: TabularMDP) -> jax.Array:
    """The log prior as `[S, A]`; zeros for the counting measure."""
    return jnp.zeros_like(mdp.transition[..., 0]) if mdp.log_prior is None else mdp.log_prior
