"""A chain of three states with random dynamics, whose expert, discounted and soft-optimal, is known exactly.

Features say which of states 1 and 2 one is in; state 0 is the gauge. Everything by linear algebra in double precision.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from softrl.types import Discrete, Simulator

STATES, ACTIONS, GAMMA = 3, 2, 0.9
TRANSITION = np.array(
    [[[0.8, 0.2, 0.0], [0.2, 0.7, 0.1]], [[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]], [[0.5, 0.4, 0.1], [0.1, 0.1, 0.8]]]
)
START = np.array([0.6, 0.3, 0.1])
WEIGHTS = np.array([-0.5, 1.2])
REWARD = np.array([0.0, *WEIGHTS])


def soft_optimal(reward: np.ndarray) -> np.ndarray:
    """log π(a|s) `[S, A]` of the soft-optimal policy at temperature 1. Args: `reward`: `[S, A]`."""
    value = np.zeros(STATES)
    for _ in range(400):
        value = logsumexp(reward + GAMMA * TRANSITION @ value, axis=1)
    q = reward + GAMMA * TRANSITION @ value
    return q - logsumexp(q, axis=1, keepdims=True)


def occupancy(log_policy: np.ndarray, ends: np.ndarray | float = 0.0) -> np.ndarray:
    """(1 − γ) Σ_t γᵗ P(s_t = s, a_t = a), `[S, A]`. Args: `ends`: how probably each action ends the episode; what is
    missing to 1 comes after that."""
    policy = np.exp(log_policy)
    moves = np.einsum("sa,sax->sx", policy * (1.0 - ends), TRANSITION)
    return np.linalg.solve(np.eye(STATES) - GAMMA * moves.T, (1.0 - GAMMA) * START)[:, None] * policy


EXPERT = soft_optimal(np.repeat(REWARD[:, None], ACTIONS, axis=1))
"""log π_E `[S, A]`."""


def simulator() -> Simulator:
    """The chain; observations are three zeros and a one, the reward is the expert's."""
    log_moves, rewards = jnp.log(jnp.float32(TRANSITION)), jnp.float32(REWARD)
    shown = lambda state: jax.nn.one_hot(state, STATES)

    def reset(key, index):
        key, start = jax.random.split(key)
        state = jax.random.categorical(start, jnp.log(jnp.float32(START)))
        return (state, key, jnp.uint32(0)), shown(state)

    def step(sim, action):
        state, key, steps = sim
        after = jax.random.categorical(jax.random.fold_in(key, steps), log_moves[state, action])
        return (after, key, steps + 1), shown(after), rewards[state], jnp.bool_(False)

    return Simulator(reset, step, Discrete(ACTIONS))


def demonstrations(episodes: int, length: int = 100, seed: int = 0) -> dict[str, np.ndarray]:
    """Whole episodes of the expert with D4RL's keys: states as often as a run that acts likewise has them."""
    rng = np.random.default_rng(seed)
    draw = lambda chances: (rng.random((len(chances), 1)) > np.cumsum(chances, -1)[:, :-1]).sum(-1)
    path = [draw(np.broadcast_to(START, (episodes, STATES)))]
    actions = []
    for _ in range(length):
        actions.append(draw(np.exp(EXPERT)[path[-1]]))
        path.append(draw(TRANSITION[path[-1], actions[-1]]))
    one, no = np.eye(STATES, dtype=np.float32), np.zeros(episodes * length, bool)
    obs, after = (one[np.concatenate(states)] for states in (path[:-1], path[1:]))
    flags = {"terminals": no, "timeouts": no}
    return {"observations": obs, "actions": np.concatenate(actions), "next_observations": after, **flags}
