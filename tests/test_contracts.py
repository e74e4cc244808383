"""What every algorithm keeps, by either kind of actions that it learns: resume, isolation, members, export, devices."""

import subprocess
import sys
import tempfile
from functools import cache, partial
from pathlib import Path

import jax
import numpy as np
import pytest

import softrl
from softrl import numpy_policy
from softrl.agents import ALGORITHMS, algorithm
from softrl.agents.carry import afresh
from softrl.config import flat
from softrl.errors import ConfigError
from softrl.numpy_policy import NumpyPolicy
from softrl.reporting.report import page
from softrl.training import members
from softrl.training.assemble import acting, assemble, member_hypers
from softrl.training.config import Config
from softrl.training.programs import abstract_run
from softrl.types import Continuous, Discrete
from softrl.zoo.published import published
from tests import tiny

pytestmark = pytest.mark.usefixtures("compiled_once")

ROOT = Path(__file__).resolve().parents[1]
WORLDS = {Continuous: "tests.wanderer:continuous", Discrete: "tests.wanderer:discrete"}
CASES = [
    pytest.param(name, kind, id=f"{name}-{kind.__name__.lower()}")
    for name in ALGORITHMS
    for kind in algorithm(name).actions
] + [pytest.param("sac, frontier", Continuous, id="sac-frontier")]
each_case = pytest.mark.parametrize("name, kind", CASES)


def quick(*ids: str) -> pytest.MarkDecorator:
    """Every case, all but these only with `--slow`: of softrl's own code they run the same."""
    marks = lambda case: () if case.id in ids else (pytest.mark.slow,)
    cases = [pytest.param(*case.values, id=case.id, marks=marks(case)) for case in CASES]
    return pytest.mark.parametrize("name, kind", cases)


each_algorithm = quick(
    "sac-continuous", "soft-q-discrete", "policy-gradient-discrete", "mpo-continuous", "airl-discrete"
)
"""The slow ones are of an algorithm that is there with other actions or settings."""


def config(name: str, kind: type, **changes) -> Config:
    """A run of a few hundred steps in the world of this kind of actions, its networks as small as they come."""
    own = {"demonstrations": demonstrations(kind)} if "demonstrations" in flat(tiny.config(name)) else {}
    return tiny.config(name, env=WORLDS[kind], **own, **changes)


@cache
def demonstrations(kind: type) -> str:
    """A file of rows that anybody could have made."""
    rng, path = np.random.default_rng(0), f"{tempfile.mkdtemp()}/shown.npz"
    obs, after = rng.normal(size=(2, 40, 2)).astype(np.float32)
    action = rng.uniform(-1, 1, (40, 1)).astype(np.float32) if kind is Continuous else rng.integers(0, 3, 40)
    rows = {"observations": obs, "actions": action, "next_observations": after, "terminals": np.zeros(40, bool)}
    np.savez(path, **rows)
    return path


@quick("sac-continuous", "policy-gradient-discrete")
def test_a_run_that_goes_on_ends_as_one_that_never_stopped_beside_a_failing_environment(name, kind, tmp_path):
    whole_config = config(name, kind)
    whole = softrl.train(whole_config, progress=False).state
    softrl.train(config(name, kind, steps=256), out=tmp_path, progress=False)
    parts = softrl.train(config(name, kind), out=tmp_path, progress=False)
    assert tiny.same_bits(whole, parts.state)
    learner = whole.learner
    assert int(learner.health.quarantined[0]) > 0, "an environment must fail here"
    assert int(learner.health.skipped[0]) == 0, "its rows must not reach an update"
    assert all(np.isfinite(np.asarray(x)).all() for x in jax.tree.leaves(learner.agent) if x.dtype == np.float32)
    for format in softrl.export.FORMATS:
        assert parts.export(format=format).difference < 1e-4
    for what in algorithm(whole_config.algorithm).networks:
        assert parts.export(format="safetensors", what=what).difference < 1e-4
    loaded = softrl.load(tmp_path)
    seen = np.float32([[0.3, -0.2], [-1.0, 0.5]])
    action = np.asarray(loaded.policy(seen))
    np.testing.assert_array_equal(action, parts.policy(seen))
    np.testing.assert_allclose(NumpyPolicy.load(tmp_path / "policy.safetensors")(seen), action, atol=1e-4)


@each_algorithm
def test_a_chunk_that_does_not_lower_for_tpu_and_cuda_trains_on_cpus_only(name, kind):
    assembled = assemble(config(name, kind, seeds=2))
    step = jax.jit(partial(members.chunk_members, assembled.program, length=16, how="vmap"), donate_argnums=0)
    run, hypers = abstract_run(assembled), jax.eval_shape(lambda: member_hypers(assembled))
    assert jax.export.export(step, platforms=("tpu", "cuda"))(run, hypers).platforms == ("tpu", "cuda")


@each_algorithm
def test_a_policy_that_comes_back_from_its_file_acts_as_before(name, kind):
    assembled = assemble(config(name, kind))
    agent = assembled.program.agent
    policy = jax.jit(lambda key: agent.policy(agent.init(key, assembled.hypers.agent)))(jax.random.key(0))
    back = published(assembled, numpy_policy.decode(numpy_policy.encode(acting(assembled, policy))))
    obs = np.float32([[0.3, -0.2], [-1.0, 0.5]])
    for key in (None, jax.random.key(1)):
        np.testing.assert_array_equal(*(afresh(agent, each, obs, key) for each in (back, policy)))


@quick("soft-q-discrete", "sac-frontier", "policy-gradient-discrete", "airl-discrete")  # but for one, they refuse
def test_a_learner_learns_from_what_others_push_or_says_in_one_line_that_it_cannot(name, kind):
    run = config(name, kind)
    spec, entry = assemble(run).program.env.spec, algorithm(run.algorithm)
    default = softrl.LearnerConfig(run.algorithm)
    small = {name: value for name, value in flat(run).items() if name in flat(default)} | {"learning_starts": 16}
    made = partial(softrl.Learner, softrl.change(default, **small), spec.obs, spec.action)
    if not entry.off_policy or entry.needs(run.agent):
        with pytest.raises(ConfigError, match=r"own actions only|demonstrations|whose next step"):
            made(replay_capacity=64)
        return
    learner, rng = made(replay_capacity=64), np.random.default_rng(0)
    obs = rng.normal(size=(33, 2)).astype(np.float32)
    action = learner.act(obs[:32])
    assert action.shape == (32, *spec.action.shape) and action.dtype == spec.action.dtype
    rows = {"obs": obs[:-1], "next_obs": obs[1:], "reward": -np.square(obs[1:, 0]), "terminated": obs[1:, 0] > 2.0}
    learner.add(rows | {"action": action})
    assert learner.step(updates=4)["finite"] == 1.0


_SOLO = """
import sys
import pytest, softrl
from softrl.types import Continuous, Discrete
from tests import compiled, test_contracts, tiny
compiled.share(pytest.MonkeyPatch())  # both solo runs are one program
name, kind = sys.argv[1], {"Continuous": Continuous, "Discrete": Discrete}[sys.argv[2]]
sweep = softrl.train(test_contracts.config(name, kind, seeds=2, seed=4), progress=False)
for member in range(2):
    solo = softrl.train(test_contracts.config(name, kind, seed=4 + member), progress=False)
    assert tiny.same_bits(tiny.member(sweep.state.learner, member), tiny.member(solo.state.learner, 0))
"""


@pytest.mark.slow
@each_case
def test_a_member_of_a_sweep_is_the_solo_run_with_its_seed(name, kind, user_environment):
    """As XLA compiles for a user; two programs of one kind need not round alike without its fusions."""
    environment = user_environment | {"XLA_FLAGS": "", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", _SOLO, name, kind.__name__], env=environment, check=True)


@pytest.mark.slow
def test_a_sweep_over_algorithms_has_one_table(tmp_path):
    sizes = {name: value for name, value in tiny.SIZES.items() if name not in ("norm", "updates_per_step")}
    spec = {"base": {**sizes, "n_step": 1, "steps": 256}, "axes": {"algorithm": ["sac", "soft-q"]}}
    done = softrl.sweep.run(spec, tmp_path)
    assert [row.member.changes["algorithm"] for row in done.results] == ["sac", "soft-q"]
    assert all(np.isfinite(row.final_return) for row in done.results)
    assert "soft-q" in page.html(page.read(tmp_path))
