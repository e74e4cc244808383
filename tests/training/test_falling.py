"""What follows a run's length: how many updates a step is worth, how fast networks learn."""

import numpy as np
import pytest

import softrl
from softrl.errors import ConfigError
from tests import tiny

pytestmark = pytest.mark.usefixtures("compiled_once")

STEPS, ENVS, STARTS = 512, tiny.SIZES["num_envs"], tiny.SIZES["learning_starts"]


def made(most: int, end: int) -> int:
    """Updates of a whole run: at each vector step as many as half a cosine says, to the nearest whole number."""
    whole, first = STEPS // ENVS, STARTS // ENVS
    gone = np.arange(first, whole + 1) / whole
    return int(np.round(end + (most - end) * 0.5 * (1.0 + np.cos(np.pi * gone))).sum())


@pytest.mark.slow
def test_an_update_ratio_that_does_not_fall_as_said_costs_another_time(tmp_path):
    config = tiny.config(updates_per_step=4, updates_per_step_end=1, steps=STEPS)
    whole = softrl.train(config, progress=False)
    assert whole.metrics[-1]["updates"] == made(4, 1)
    assert whole.metrics[-1]["train"]["finite"] == [1.0], "an update that is not made is not one that failed"
    softrl.train(config, out=tmp_path, progress=False)
    assert tiny.same_bits(whole.state, softrl.load(tmp_path).resume(progress=False).state)


@pytest.mark.slow
def test_a_longer_run_says_that_its_rates_fall_along_another_curve(tmp_path):
    said = []
    listen = lambda event: said.extend(event["names"]) if event["event"] == "changed" else None
    for steps in (256, 512):
        softrl.train(tiny.config(steps=steps), out=tmp_path / "same", progress=False, listener=listen)
    assert said == []
    for steps in (256, 512):
        softrl.train(tiny.config(rate_end=0.1, steps=steps), out=tmp_path / "other", progress=False, listener=listen)
    assert said == ["config.training.steps"]


def test_an_update_ratio_that_would_rise_is_refused_and_not_cut_off():
    with pytest.raises(ConfigError, match=r"updates_per_step_end must be at most updates_per_step 2, .* got 3"):
        softrl.train(tiny.config(updates_per_step=2, updates_per_step_end=3), progress=False)
