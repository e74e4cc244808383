"""Soft Q-learning as a whole: a bandit whose policy has two modes, a control problem solved on a grid, and runs.

Both yardsticks are unrestricted: V = α log ∫ exp(Q/α) da, which no tanh-Gaussian reaches.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl import numpy_policy
from softrl.agents.soft_q.actions import kind_of
from softrl.training.assemble import acting
from softrl.types import Continuous, Discrete, Simulator
from tests import tiny
from tests.oracles import bimodal_bandit as bandit
from tests.oracles import bounded_lq as regulator

BANDIT = {
    "temperature": bandit.TEMPERATURE,
    "width": 64,
    "depth": 2,
    "norm": "none",
    "normalize_obs": False,
    "tau": 0.05,
    "num_envs": 32,
    "batch_size": 32,
    "replay_size": 2**15,
    "learning_starts": 2048,
    "updates_per_step": 1,
    "chunk_steps": 100,
    "value_particles": 32,
    "stein_particles": 32,
}


def one_pull() -> Simulator:
    """Every step is an episode that pays Q(a)."""

    def step(sim, action):
        return sim, jnp.zeros(1), bandit.q(action[0], of=jnp), jnp.bool_(True)

    return Simulator(lambda key, index: (jnp.zeros(()), jnp.zeros(1)), step, Continuous(1))


def annealed(settings: dict, stages: list[tuple[int, float, float]], *, quick: bool = False, **pieces) -> tiny.Trial:
    """Stages of so many chunks by these rates of critics and sampler: they are traced, so nothing recompiles."""
    counts, rates = [stage[0] for stage in stages], [dict(zip(RATES, stage[1:], strict=True)) for stage in stages]
    schedule = dict(zip(np.cumsum([0, *counts[:-1]]).tolist(), rates, strict=True))
    return tiny.trained(tiny.config("soft-q", **settings), sum(counts), schedule=schedule, quick=quick, **pieces)


RATES = ("critic_lr", "policy_lr")

FIRST = (5, 3e-3, 0.0)
"""The sampler waits: while critics know nothing it might leave a mode, and nothing tells it to come back."""


class Pulled(NamedTuple):
    """value: α log ∫ exp(Q/α) da of the learned Q. left: the sampler's mass below 0. elbo: its E[Q] + α H, by the true
    Q."""

    value: float
    left: float
    elbo: float


def pulled(trial: tiny.Trial) -> Pulled:
    agent = tiny.member(trial.run.learner.agent, 0)
    kind = kind_of(trial.assembled.config.agent, trial.assembled.program.env.spec)
    q, _ = kind.critic.apply(agent.critic.params, (), jnp.zeros((1, 1)), jnp.float32(bandit.GRID[None, :, None]))
    plain = acting(trial.assembled, trial.assembled.program.agent.policy(agent))
    edges = np.linspace(-5.0, 5.0, 40_001)
    mass = np.exp(-0.5 * (0.5 * (edges[1:] + edges[:-1])) ** 2)
    mass /= mass.sum()
    ends = np.float64(plain.act(np.zeros((len(edges), 1), np.float32), np.float32(edges[:, None]))[:, 0])
    low, high = np.minimum(ends[1:], ends[:-1]), np.maximum(ends[1:], ends[:-1])
    return Pulled(bandit.soft_value(np.float64(q[0, 0])), mass @ (0.5 * (low + high) < 0.0), elbo(low, high, mass))


def elbo(low: np.ndarray, high: np.ndarray, mass: np.ndarray) -> float:
    """E[Q] + α H of mass spread evenly from low to high: change of variables, also where several noises act alike."""
    middle = 0.5 * (low + high)
    slope = mass / np.maximum(high - low, 1e-12)
    order = np.argsort(np.concatenate([low, high]))
    points = np.concatenate([low, high])[order]
    density = np.maximum(np.cumsum(np.concatenate([slope, -slope])[order]), 1e-12)
    here = density[np.clip(np.searchsorted(points, middle, side="right") - 1, 0, len(points) - 1)]
    return float(mass @ (bandit.q(middle) - bandit.TEMPERATURE * np.log(here)))


def test_the_elbo_of_a_known_sampler_is_the_known_one():
    """The best tanh-Gaussian's, and of noise that is folded over it: |ξ| in place of ξ has half the support."""
    edges = np.linspace(-5.0, 5.0, 40_001)
    mass = np.exp(-0.5 * (0.5 * (edges[1:] + edges[:-1])) ** 2)
    ends = np.tanh(0.70744054 + 0.18715183 * edges)
    assert abs(elbo(ends[:-1], ends[1:], mass / mass.sum()) - bandit.BEST_GAUSSIAN) < 1e-4
    folded = np.tanh(0.70744054 + 0.18715183 * np.abs(edges))
    low, high = np.minimum(folded[1:], folded[:-1]), np.maximum(folded[1:], folded[:-1])
    half = mass[20_000:] / mass[20_000:].sum()
    assert abs(elbo(low, high, mass / mass.sum()) - elbo(folded[20_000:-1], folded[20_001:], half)) < 1e-3


@pytest.mark.slow
def test_a_sampler_of_two_modes_that_is_wrong_anywhere_loses_one_of_them():
    """A short version of the bar below."""
    found = pulled(annealed(BANDIT, [FIRST, (4, 1e-3, 3e-3), (1, 3e-4, 1e-3)], quick=True, env=one_pull()))
    assert abs(found.value - bandit.VALUE) < 0.05, found
    assert 0.1 < found.left < 0.5, found


@pytest.mark.slow
def test_a_sampler_learns_both_modes_and_beats_every_tanh_gaussian():
    found = pulled(annealed(BANDIT, [FIRST, (15, 1e-3, 3e-3), (10, 3e-4, 1e-3), (5, 2e-4, 2e-4)], env=one_pull()))
    print(found)
    assert abs(found.value - bandit.VALUE) < 0.01, found
    assert abs(found.left - bandit.LEFT) < 0.03, found
    assert found.elbo > bandit.BEST_GAUSSIAN, found


REGULATOR = {
    "gamma": regulator.GAMMA,
    "temperature": regulator.TEMPERATURE,
    "width": 32,
    "depth": 2,
    "activation": "silu",
    "norm": "none",
    "tau": 0.05,
    "num_envs": 16,
    "episode_length": 8,  # truncation only; short, so that all of (−3, 3) is visited for ever
    "batch_size": 64,
    "replay_size": 2**17,
    "learning_starts": 1024,
    "updates_per_step": 1,
    "chunk_steps": 1000,
    "value_particles": 128,  # of 32 every step's value is low by 0.003, and twenty steps count
    "stein_particles": 8,
}
UNRESTRICTED = np.array([1.17885404, 0.27955632, -2.78950341])
"""α log ∫ exp(Q/α) da at x = 0, 1, 2, by soft value iteration on 321 points."""


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"proposal": "sampler", "value_particles": 32, "stein_particles": 16}])
def test_critics_reach_the_unrestricted_soft_values_of_the_bounded_regulator(changes):
    trial = annealed({**REGULATOR, **changes}, [(4, 3e-3, 3e-3), (3, 5e-4, 5e-4), (2, 1e-4, 1e-4)])
    agent, spec = tiny.member(trial.run.learner.agent, 0), trial.assembled.program.env.spec
    kind, nodes = kind_of(trial.assembled.config.agent, spec), bandit.GRID
    seen = softrl.running_statistics.normalize(agent.statistics, jnp.float32(regulator.AT[:, None]))
    actions = jnp.broadcast_to(jnp.float32(nodes[None, :, None]), (3, len(nodes), 1))
    q = np.float64(kind.critic.apply(agent.critic.params, (), seen, actions)[0][0])
    value = np.array([bandit.soft_value(row) for row in q])  # of the same temperature
    print(changes, np.round(value - UNRESTRICTED, 4))
    assert np.abs(value - UNRESTRICTED).max() < 0.05, value - UNRESTRICTED


@pytest.mark.slow
def test_a_run_trains_resumes_and_leaves_files_that_act(tmp_path):
    settings = {"value_particles": 4, "stein_particles": 4, "proposal": "sampler", "steps": 256}
    run = softrl.train(tiny.config("soft-q", **settings), out=tmp_path / "run", progress=False)
    assert run.metrics[-1]["train"]["finite"] == [1.0]
    again = softrl.train(softrl.change(run.config, steps=512), out=tmp_path / "run", progress=False)
    assert again.metrics[-1]["updates"] > run.metrics[-1]["updates"]
    for format in ("onnx", "safetensors"):
        again.export(tmp_path / f"policy.{format}", format=format)
    plain = numpy_policy.NumpyPolicy.load(tmp_path / "policy.safetensors")
    obs = np.float32([[0.5], [-2.0]])
    np.testing.assert_allclose(plain(obs), again.policy(obs), atol=1e-5)


@pytest.mark.slow
def test_a_learner_that_others_feed_takes_discrete_actions():
    learner = softrl.Learner(
        softrl.change(softrl.LearnerConfig("soft-q"), width=8, depth=1, batch_size=16, learning_starts=16),
        jax.ShapeDtypeStruct((2,), "float32"),
        Discrete(3),
        replay_capacity=64,
    )
    rng = np.random.default_rng(0)
    obs, action = rng.normal(size=(32, 2)).astype(np.float32), rng.integers(0, 3, 32)
    flags = {"terminated": np.ones(32, bool), "truncated": np.zeros(32, bool)}
    learner.add({"obs": obs, "action": action, "reward": np.float32(action == 2), "next_obs": obs, **flags})
    assert np.isfinite(learner.step(4)["critic_loss"])
    assert learner.actor()(obs).dtype == np.int32
