"""Probe environments: so small that the right answer is known, each for one way in which a learner goes wrong.

The idea is Andy Jones', "Debugging reinforcement learning systems" (2021). Values below are without entropy.
"""

import jax
import jax.numpy as jnp

from softrl.envs.gridworld import bridge
from softrl.types import Continuous, Simulator


def constant_reward() -> Simulator:
    """Reward 1 at every step, never terminates: Q = 1 / (1 − γ) everywhere. Wrong if targets or discounts are."""
    return Simulator(
        lambda key, index: (jnp.zeros(()), jnp.zeros(1)),
        lambda sim, action: (sim, jnp.zeros(1), jnp.float32(1.0), jnp.bool_(False)),
        action=Continuous(1),
    )


def two_step_discount() -> Simulator:
    """Observation 0, then 1; the second step pays 1 and terminates: Q(0) = γ, Q(1) = 1."""

    def step(sim, action):
        return sim + 1.0, jnp.ones(1), sim, sim > 0.5

    return Simulator(lambda key, index: (jnp.float32(0.0), jnp.zeros(1)), step, action=Continuous(1))


def action_reward() -> Simulator:
    """One step that pays −(a − ½)²: the best action is ½. Wrong if the policy gradient is."""

    def step(sim, action):
        return sim, jnp.zeros(1), -jnp.square(action[0] - 0.5), jnp.bool_(True)

    return Simulator(lambda key, index: (jnp.zeros(()), jnp.zeros(1)), step, action=Continuous(1))


def death() -> Simulator:
    """Reward 1, terminates at the third step. Observation is the step k: Q(k) = Σ_{i<3−k} γⁱ, if death does not."""

    def step(sim, action):
        sim = sim + 1.0
        return sim, sim[None], jnp.float32(1.0), sim > 2.5

    return Simulator(lambda key, index: (jnp.float32(0.0), jnp.zeros(1)), step, action=Continuous(1))


def nan_emitter(*, index: int = 3, period: int = 17) -> Simulator:
    """A drifting point whose environment `index` returns NaN at every `period`-th step of an episode.

    Training must count the bad rows, reset that environment and change no other by one bit.
    """

    def reset(key, env_index):
        x = jax.random.uniform(key, (1,), minval=-1.0, maxval=1.0)
        return (x, jnp.int32(0), env_index == index), x

    def step(sim, action):
        x, steps, bad = sim
        x, steps = 0.9 * x + 0.1 * action, steps + 1
        poison = jnp.where(bad & (steps % period == 0), jnp.nan, 0.0)
        return (x, steps, bad), x + poison, -jnp.square(x[0]) + poison, jnp.bool_(False)

    return Simulator(reset, step, action=Continuous(1))


def bounded_lq(*, start: float = 3.0) -> Simulator:
    """x′ = 0.9x + 0.5a + w, w ~ N(0, 0.1²), r = −½(x² + 0.1a²), a ∈ (−1, 1), x₀ ~ U(−start, start).

    With γ = 0.95 and temperature 0.2 the best tanh-Gaussian policy has the soft values 1.085109, 0.181645, −2.896032
    at x = 0, 1, 2 (soft policy iteration on a grid, six digits): the yardstick for the whole learner.
    """

    def reset(key, index):
        key, start_key = jax.random.split(key)
        x = jax.random.uniform(start_key, (1,), minval=-start, maxval=start)
        return (x, key, jnp.uint32(0)), x

    def step(sim, action):
        x, key, steps = sim
        noise = 0.1 * jax.random.normal(jax.random.fold_in(key, steps), (1,))
        reward = -0.5 * (jnp.square(x[0]) + 0.1 * jnp.square(action[0]))
        x = 0.9 * x + 0.5 * action + noise
        return (x, key, steps + 1), x, reward, jnp.bool_(False)

    return Simulator(reset, step, action=Continuous(1))


PROBES = {
    "constant-reward": constant_reward,
    "two-step-discount": two_step_discount,
    "action-reward": action_reward,
    "time-limit": constant_reward,  # of short episodes: Q = 1 / (1 − γ) only if truncation bootstraps
    "death": death,
    "nan-emitter": nan_emitter,
    "bounded-lq": bounded_lq,
    "gridworld": bridge,
}
