"""Settings from Python are held to what the command line holds them to, and NumPy's numbers are numbers."""

import numpy as np
import pytest

import softrl
from softrl.compat.sb3 import SAC
from softrl.sweep import spec
from softrl.training.assemble import assemble
from tests import tiny
from tests.cases import points
from tests.learner.small import learner

pytestmark = pytest.mark.usefixtures("compiled_once")

SWEEP = {"base": {"env": "probe/bounded-lq"}, "axes": {"critic_lr": [1e-3, 1e-4]}}


def test_numpys_numbers_and_whole_floats_are_taken_as_pythons():
    config = softrl.preset(
        "probe/bounded-lq", batch_size=np.int64(16), gamma=np.float32(0.5), value_network=np.bool_(True), steps=1e5
    )
    training = config.training
    assert (type(training.batch_size), training.batch_size) == (int, 16)
    assert (type(config.hypers.gamma), config.hypers.gamma) == (float, 0.5)
    assert config.agent.value_network is True
    assert (type(training.steps), training.steps) == (int, 100_000)
    for wrong in (16.5, np.float64(16.5), True, np.ones(2), "16"):
        with pytest.raises(softrl.ConfigError, match="batch_size must be a whole number"):
            softrl.preset("probe/bounded-lq", batch_size=wrong)


def test_arguments_of_an_environment_may_be_numpys():
    one, two = ({"start": start} for start in (2.0, np.float64(2.0)))
    assert softrl.preset("probe/bounded-lq", env_kwargs=one) == softrl.preset("probe/bounded-lq", env_kwargs=two)


def test_a_sweep_of_numpys_numbers_is_the_sweep_of_pythons():
    plain = {**SWEEP, "seeds": [0, 3], "axes": {"critic_lr": [0.25, 0.5], "batch_size": [16, 32]}}
    plain["base"] = {**SWEEP["base"], "steps": 100_000}
    odd = {**plain, "seeds": np.asarray([0, 3]), "base": {**SWEEP["base"], "steps": 1e5}}
    odd["axes"] = {"critic_lr": np.asarray([0.25, 0.5], np.float32), "batch_size": [np.int64(16), 32.0]}
    one, two = (spec.load(words) for words in (plain, odd))
    assert repr(one) == repr(two)


def test_a_sweep_spec_with_a_byte_order_mark_is_read(tmp_path):
    text = '[base]\nenv = "probe/bounded-lq"\n[axes]\ncritic_lr = [1e-3, 1e-4]\n'
    (tmp_path / "bom.toml").write_text(text, encoding="utf-8-sig")
    assert spec.load(tmp_path / "bom.toml") == spec.load(SWEEP)


WRONG_SEEDS = (2**31, 2**40, 2**64, -1, 1.5, True, "0")


@pytest.mark.parametrize("seed", WRONG_SEEDS, ids=str)
def test_a_seed_that_cannot_be_is_refused_everywhere(seed):
    words = r"seed must be (in \[0, 2147483648\)|a whole number), got"
    with pytest.raises(softrl.ConfigError, match=words):
        softrl.preset("probe/bounded-lq", seed=seed)
    with pytest.raises(softrl.ConfigError, match=words):
        learner(seed=seed)
    with pytest.raises(softrl.ConfigError, match=words):
        SAC("MlpPolicy", points.Dot(), seed=seed)
    with pytest.raises(softrl.ConfigError, match=words):
        assemble(tiny.config(), members=[{"seed": seed}])


def test_members_may_have_numpys_numbers():
    assembled = assemble(tiny.config(), members=[{"seed": np.int64(3), "critic_lr": np.float32(0.5)}])
    assert repr(assembled.members) == "({'seed': 3, 'critic_lr': 0.5},)"


def test_errors_speak_of_the_argument_that_the_caller_gave():
    with pytest.raises(softrl.ConfigError, match=r"buffer_size must be in \[256, inf\], got 10"):
        SAC("MultiInputPolicy", points.Dot(), buffer_size=10)
    with pytest.raises(softrl.ConfigError, match=r"replay_capacity must be a whole number, got 0\.5"):
        learner(replay_capacity=0.5)
