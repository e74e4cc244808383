"""What a sweep will take is said in advance, and rightly."""

import subprocess
import sys

import pytest

from softrl.errors import ConfigError
from softrl.sweep.calibration import calibrated
from softrl.sweep.plan import plan
from softrl.sweep.plan_text import planned
from softrl.sweep.spec import load
from softrl.training import memory
from softrl.training.assemble import assemble
from softrl.training.programs import abstract_run
from tests.sweep import tiny

LR = {"log_uniform": [1e-4, 1e-2], "n": 25}


def test_ten_thousand_members_are_planned_without_ten_thousand_of_anything_slow(monkeypatch):
    traced = []
    monkeypatch.setattr("softrl.sweep.plan.assemble", lambda config: traced.append(config) or assemble(config))
    words = tiny.spec({"critic_lr": LR, "width": [8, 16]}, seeds=200)
    made = plan(load(words))
    assert made.members == 10_000
    assert len(traced) == len(made.groups) == 2
    checked = []
    monkeypatch.setattr("softrl.config.checked", lambda config: checked.append(config) or config)
    sampled = plan(load(tiny.spec({"critic_lr": {**LR, "n": 10_000}})))
    assert sampled.members == 10_000 and len(checked) < 100, "a random sample is checked by its range"
    text = planned(words)
    assert "10,000 members" in text[0] and "2 compiled programs" in text[0]


def test_a_plan_waits_for_nothing_that_trains_or_shows_training(user_environment, tmp_path):
    (tmp_path / "spec.toml").write_text(tiny.toml(tiny.spec({"critic_lr": LR})))
    command = ["sweep", str(tmp_path / "spec.toml"), "--plan", "--no-calibrate"]
    slow = "orbax.checkpoint", "rich.progress", "matplotlib", "brax", "softrl.training.session"
    code = (
        f"import sys, gc; from softrl.cli_sweep import sweep; assert sweep({command[1:]}) == 0 and gc.isenabled();"
        f"print([name for name in {slow} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=user_environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_bytes_are_those_of_the_run_that_will_be_allocated():
    made = plan(load(tiny.spec({"critic_lr": [1e-4, 1e-3]}, seeds=2)))
    run = abstract_run(assemble(made.groups[0].group.config))
    assert made.groups[0].member_bytes * 4 == memory.nbytes(run._replace(clock=()))
    assert made.groups[0].checkpoint_bytes == made.groups[0].member_bytes * 4


def test_batches_of_a_group_are_equally_wide_and_waste_next_to_nothing():
    for seeds, per_batch, width, batches in [(7, 3, 3, 3), (10, 4, 4, 3), (9, 16, 9, 1), (33, None, 11, 3)]:
        made = plan(load(tiny.spec({"gamma": [0.9]}, seeds=seeds)), per_batch=per_batch).groups[0]
        assert (made.group.config.training.seeds, made.batches) == (width, batches)
        assert len({member.batch for member in made.group.members}) == batches
        assert len(made.group.members) == seeds
        assert width * batches - seeds < batches


def test_what_cannot_fit_is_refused_with_what_does():
    words, size = tiny.spec({"gamma": [0.8, 0.9]}, seeds=32), 0
    size = plan(load(words)).groups[0].member_bytes
    with pytest.raises(ConfigError, match=r"one member takes .* lower replay_size"):
        plan(load(words), memory_bytes=size)
    with pytest.raises(ConfigError, match="64 members in a batch does not fit, 4 members do: use --per-batch 4"):
        plan(load(words), memory_bytes=15 * size, per_batch=64)
    assert plan(load(words), memory_bytes=15 * size).groups[0].group.config.training.seeds == 4
    with pytest.raises(ConfigError, match="a population of 32 does not fit"):
        plan(
            load(tiny.spec({"gamma": {"uniform": [0.8, 0.9], "n": 32}}, search={"method": "pbt"})),
            memory_bytes=size * 9,
        )


def test_a_plan_says_which_members_end_with_other_numbers_after_a_kill():
    said = "after a kill members at work begin new episodes: gym/MountainCarContinuous-v0 cannot be put back"
    robots = ["gym/MountainCarContinuous-v0", "gym/InvertedPendulum-v5"]
    words = {"seeds": 1, "axes": {"env": robots}}
    assert said in planned(words)
    assert not any("after a kill" in line for line in planned(words | {"axes": {"env": robots[1:]}}))


def test_a_plan_says_of_which_groups_nothing_will_be_learned():
    words = tiny.spec({"learning_starts": [64, 10_000]})
    (_, learns, idle, *_) = planned(words)
    assert "nothing will be learned: learning_starts is 10,000 of 512 steps" in idle and "nothing" not in learns


def test_a_plan_tells_what_a_search_will_cost():
    halving = tiny.spec(
        {"critic_lr": {**LR, "n": 9}}, steps=128 * 9, search={"method": "halving", "eta": 3, "rungs": 3}
    )
    assert plan(load(halving)).groups[0].env_steps == 9 * 128 + 3 * 256 + 768
    trials = {"method": "optuna", "trials": 10, "batch": 4}
    sampled = plan(load(tiny.spec({"gamma": {"uniform": [0.8, 0.9]}}, seeds=3, search=trials)))
    assert (sampled.members, sampled.groups[0].env_steps) == (30, 30 * 512)
    assert sampled.groups[0].group.config.training.seeds == 12


def test_a_calibrated_plan_has_a_time_and_plain_ones_compile_nothing():
    made = plan(load(tiny.spec({"gamma": [0.8, 0.9]})))
    assert made.seconds is None
    assert calibrated(made).seconds > 0
