"""A new algorithm is one folder and one line of the registry: it trains, resumes, sweeps and reports as any other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import softrl
from softrl.agents import registry
from softrl.config import flat, to_json
from softrl.errors import ConfigError
from softrl.reporting.report import page
from softrl.training import members
from softrl.training.assemble import assemble, member_hypers, member_keys
from softrl.training.config import Config, read
from softrl.types import Discrete, Simulator
from tests import tiny

pytestmark = pytest.mark.usefixtures("compiled_once")

PAYS = jnp.float32([0.0, 1.0, 0.25])
"""What each of three arms pays."""

SIZES = {
    "num_envs": 8,
    "episode_length": 6,
    "chunk_steps": 8,
    "updates_per_step": 1,
    "eval_episodes": 2,
    "eval_every": 64,
    "steps": 256,
}


def arms() -> Simulator:
    def step(sim, action):
        return sim, jnp.zeros(1), PAYS[action], jnp.bool_(False)

    return Simulator(lambda key, index: (jnp.zeros(()), jnp.zeros(1)), step, Discrete(3))


@pytest.fixture(autouse=True)
def plugged_in(monkeypatch):
    monkeypatch.setitem(registry.ALGORITHMS, "toy", "tests.toy_algorithm")


def config(**changes) -> Config:
    return softrl.change(Config("toy"), **{**SIZES, "learning_starts": 0, **changes})


def trained(config: Config, out=None) -> softrl.Run:
    return softrl.train(config, env=arms(), out=out)


def test_it_learns_the_best_arm_from_whole_rollouts_by_a_discrete_policy(tmp_path):
    last = trained(config(), tmp_path / "run").metrics[-1]
    assert last["eval"]["return_mean"] == [6.0]  # the best arm at all six steps
    assert last["updates"] == 256 // 8 // 4  # one of every four vector steps
    assert last["train"]["finite"] == [1.0], "an update saw other log-probabilities than those its actions had"
    assert last["train"]["longest"] == [4.0]
    assert "loss" in page.html(page.read(tmp_path / "run"))


def test_it_resumes_to_the_same_bits_with_its_carry_and_extras(tmp_path):
    whole = trained(config(steps=192), tmp_path / "whole").state
    trained(config(steps=64), tmp_path / "parts")
    parts = trained(config(steps=192), tmp_path / "parts").state
    assert tiny.same_bits(whole, parts)
    assert (np.asarray(whole.rollout.carry) < 6).all(), "carries of ended episodes start afresh"


def test_its_members_are_what_they_are_alone():
    made = assemble(config(seeds=3), env=arms())
    step = lambda how: tiny.compiled(
        lambda run, hypers: members.chunk_members(made.program, run, hypers, length=16, how=how)[0], run, hypers
    )
    keys, hypers = member_keys(made.config), member_hypers(made)
    run = jax.jit(lambda k, h: members.init_members(made.program, k, h))(keys, hypers)
    one, other = step("sequential")(run, hypers), step("vmap")(run, hypers)
    np.testing.assert_allclose(one.learner.agent.logits, other.learner.agent.logits, rtol=1e-5, atol=1e-6)
    assert len(np.unique(np.asarray(one.learner.agent.logits)[:, 0])) == 3


def test_its_settings_are_settings_like_any_other():
    changed = softrl.change(config(), rate=0.25, horizon=2, recency_floor=0.5)
    assert flat(changed)["rate"] == 0.25 and changed.algorithm == "toy"
    assert read(to_json(changed)) == changed
    with pytest.raises(ConfigError, match="did you mean 'rate'"):
        softrl.change(config(), rat=0.1)
    with pytest.raises(ConfigError, match="multiple of the 3 vector steps"):
        assemble(config(horizon=3), env=arms())


def test_it_says_in_one_line_what_it_cannot_do():
    with pytest.raises(ConfigError, match=r"toy learns discrete actions, one of n; got Continuous"):
        assemble(config(env="probe/death"))
    with pytest.raises(ConfigError, match="learning_starts 0, got 64"):
        assemble(config(learning_starts=64), env=arms())
    with pytest.raises(ConfigError, match="updates_per_step 1, got 2"):
        assemble(config(updates_per_step=2), env=arms())
    with pytest.raises(ConfigError, match="own actions only"):
        softrl.Learner(softrl.LearnerConfig("toy"), jax.ShapeDtypeStruct((1,), "float32"), Discrete(3))
