"""The policy gradient from its rollouts alone, on three random tables whose best policies are known exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from softrl.types import Discrete, Simulator
from tests import tiny

GAMMA, TEMPERATURE, TABLES, STATES, ACTIONS = 0.9, 0.5, 3, 3, 2
RNG = np.random.default_rng(7)
TRANSITION = RNG.dirichlet(np.ones(STATES), (TABLES, STATES, ACTIONS))
REWARD = RNG.normal(size=(TABLES, STATES, ACTIONS))


def tables() -> Simulator:
    """Each episode is in one of the three, for ever; the observation says in which, and where."""
    transition, reward = (jnp.asarray(x.reshape(TABLES * STATES, ACTIONS, *x.shape[3:])) for x in (TRANSITION, REWARD))
    show = lambda at: jax.nn.one_hot(at, TABLES * STATES)

    def reset(key, index):
        at = jax.random.randint(key, (), 0, TABLES * STATES)
        return (at, key), show(at)

    def step(sim, action):
        at, key = sim
        key, draw = jax.random.split(key)
        to = at // STATES * STATES + jax.random.categorical(draw, jnp.log(transition[at, action]))
        return (to, key), show(to), jnp.float32(reward[at, action]), jnp.bool_(False)

    return Simulator(reset, step, Discrete(ACTIONS))


def best() -> np.ndarray:
    """V* of every table `[3, S]`, by soft value iteration: a softmax of logits can be the best policy."""
    value = np.zeros((TABLES, STATES))
    for _ in range(400):
        q = REWARD + GAMMA * np.einsum("ksax,kx->ksa", TRANSITION, value)
        value = TEMPERATURE * logsumexp(q / TEMPERATURE, axis=-1)
    return value


def worth(log_policy: np.ndarray) -> np.ndarray:
    """V of a policy `[3, S, A]` in every table, `[3, S]`, by solving its linear equations."""
    policy = np.exp(log_policy)
    now = np.sum(policy * (REWARD - TEMPERATURE * log_policy), -1)
    moves = np.einsum("ksa,ksax->ksx", policy, TRANSITION)
    return np.linalg.solve(np.eye(STATES) - GAMMA * moves, now[..., None])[..., 0]


LEARNER = {
    "depth": 0,
    "normalize_obs": False,
    "gamma": GAMMA,
    "temperature": TEMPERATURE,
    "num_envs": 128,
    "episode_length": 32,
    "horizon": 16,
    "chunk_steps": 160,
    "updates_per_step": 1,
    "learning_starts": 0,
    "max_grad_norm": 1.0,
}

SURROGATES = {
    "clipped": {"surrogate": "clipped", "epochs": 2, "minibatches": 2},
    "score": {"surrogate": "score", "epochs": 1, "minibatches": 1},
    "score, weighed": {"surrogate": "score", "importance_weights": True, "epochs": 2, "minibatches": 2},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SURROGATES)
def test_it_ends_within_two_hundredths_of_a_nat_of_the_best_policy_of_three_tables(name):
    config = tiny.config("policy-gradient", **LEARNER, **SURROGATES[name])
    more = 2 if name == "score" else 1  # it makes one step a rollout where the others make four
    stages = {0: (3e-2, 3e-2), 6: (1e-2, 1e-2), 12: (2e-3, 5e-3)}
    schedule = {more * at: {"policy_lr": more * policy, "value_lr": value} for at, (policy, value) in stages.items()}
    trial = tiny.trained(config, 18 * more, schedule=schedule, env=tables())
    layer = tiny.member(trial.run.learner.agent, 0).policy.params["params"]["Dense_0"]
    logits = np.asarray(layer["kernel"] + layer["bias"][None], np.float64).reshape(TABLES, STATES, ACTIONS)
    lost = (best() - worth(logits - logsumexp(logits, -1, keepdims=True))) / TEMPERATURE
    uniform = (best() - worth(np.full(logits.shape, -np.log(ACTIONS)))) / TEMPERATURE
    print(f"{name}: nats lost a state {np.round(lost, 4).tolist()}, by acting uniformly {np.round(uniform.max(), 2)}")
    assert uniform.min(-1).max() > 1.0, "there is something to learn"
    assert lost.max() < 0.02
