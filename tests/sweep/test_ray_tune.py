"""Ray Tune's searchers and schedulers over softrl's training: they get their numbers, and checkpoints that are runs."""

import json
import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from softrl import run
from softrl.errors import ConfigError
from softrl.presets import preset
from softrl.sweep import batch, ray_tune
from tests import tiny as one
from tests.sweep import tiny

BASE = {name: value for name, value in tiny.BASE.items() if name != "env"}
ENV = tiny.BASE["env"]


class Killed(BaseException):
    """Stands for the end of a process."""


class Tune:
    """What a trial sees of Ray Tune: it keeps the reports and the newest checkpoint, and may end at a report."""

    def __init__(self, home):
        self.home, self.reports, self.kept, self.end = home, [], None, None
        self.Checkpoint = SimpleNamespace(from_directory=lambda path: path)

    def get_context(self):
        return SimpleNamespace(get_trial_resources=lambda: None)

    def report(self, metrics, checkpoint):
        self.reports.append(metrics)
        self.kept = self.home / str(len(self.reports))
        shutil.copytree(checkpoint, self.kept)
        if len(self.reports) == self.end:
            raise Killed

    def get_checkpoint(self):
        if self.kept is None:
            return None
        return SimpleNamespace(to_directory=lambda path: shutil.copytree(self.kept, path))


@pytest.fixture
def tune(tmp_path, monkeypatch) -> Tune:
    """A stand-in for Ray Tune; compiled programs are shared with other tests."""
    made = Tune(tmp_path / "tune")
    monkeypatch.setattr(ray_tune, "_tune", lambda: made)
    monkeypatch.setattr(batch, "prepare", tiny.prepare)
    return made


def last(directory) -> dict:
    """The last line of a run's metrics."""
    return json.loads((directory / "metrics.jsonl").read_text().splitlines()[-1])


@pytest.mark.slow
def test_a_trial_that_is_killed_goes_on_from_its_last_report_to_the_solo_run_s_bits(tune, tmp_path):
    trial, train = {"seed": 7, "critic_lr": 3e-4}, ray_tune.trainable(ENV, **BASE)
    tune.end = 2
    with pytest.raises(Killed):
        train(trial)
    train(trial)
    alone = run.train(preset(ENV, **BASE, **trial), out=tmp_path / "alone")
    assert [report["env_steps"] for report in tune.reports] == [line["env_steps"] for line in alone.metrics]
    assert [report["return_mean"] for report in tune.reports] == [
        line["eval"]["return_mean"][0] for line in alone.metrics
    ]
    assert last(tune.kept)["state_sha256"] == alone.metrics[-1]["state_sha256"]
    assert one.same_bits(run.load(tune.kept).best_policy, alone.best_policy), "a checkpoint is a run"


def test_a_trial_that_takes_another_s_checkpoint_has_its_state_and_its_own_settings(tune):
    train = ray_tune.trainable(ENV, **BASE)
    tune.end = 2
    with pytest.raises(Killed):
        train({"critic_lr": 1e-3})
    train({"critic_lr": 3e-5})
    taken = run.load(tune.kept)
    assert taken.config.hypers.critic_lr == 3e-5
    assert [line["env_steps"] for line in taken.metrics] == [0, 256, 512]
    assert [report["env_steps"] for report in tune.reports] == [0, 256, 512]
    tune.kept = tune.home / "2"
    train({"critic_lr": 1e-3})
    assert last(tune.kept)["state_sha256"] != last(tune.home / "3")["state_sha256"]


def test_a_diverged_trial_says_so_in_its_last_report_and_ends(tune):
    ray_tune.trainable(ENV, **BASE)({"critic_lr": 1e30})
    assert [report["diverged"] for report in tune.reports][-1] is True


def test_a_wrong_setting_is_told_before_any_trial(tune):
    with pytest.raises(ConfigError, match="critic_lr"):
        ray_tune.trainable(ENV, critic_rl=1e-3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what Ray and its forks warn of is not ours
def test_schedulers_of_a_real_ray_tune_stop_copy_and_restore_trials(tmp_path):
    """Asynchronous halving; population-based training; a trial whose process is killed, and which Tune restores."""
    ray = pytest.importorskip("ray", reason="no ray: pip install -e .[ray]")
    from ray import tune
    from ray.tune.schedulers import AsyncHyperBandScheduler, PopulationBasedTraining

    train, rates = ray_tune.trainable(ENV, **BASE | {"steps": 2048}), [1e-3, 1e-7, 1e-6, 1e-5]
    aim = {"metric": "return_mean", "mode": "max"}

    def fit(name, scheduler, callbacks=(), **space):
        again = tune.FailureConfig(max_failures=1)
        about = {"storage_path": str(tmp_path), "failure_config": again, "callbacks": list(callbacks), "verbose": 0}
        config = tune.RunConfig(name=name, **about)
        options = tune.TuneConfig(**aim, scheduler=scheduler, max_concurrent_trials=2, reuse_actors=True)
        return tune.Tuner(train, param_space=space, tune_config=options, run_config=config).fit()

    class KillOnce(tune.Callback):
        """Kills the process of the first trial that has evaluated thrice."""

        killed = 0

        def on_trial_result(self, iteration, trials, trial, result, **info):
            if result["training_iteration"] == 3 and not self.killed:
                os.kill(result["pid"], signal.SIGKILL)
                self.killed += 1

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        scheduler = AsyncHyperBandScheduler(max_t=9, grace_period=2, reduction_factor=2)
        halved = fit("halved", scheduler, critic_lr=tune.grid_search(rates))
        killer = KillOnce()
        hurt = fit("hurt", None, [killer], critic_lr=1e-3)
        mutations = {"critic_lr": tune.loguniform(1e-5, 1e-1)}
        pbt = PopulationBasedTraining(perturbation_interval=2, hyperparam_mutations=mutations)
        copied = fit("copied", pbt, critic_lr=tune.grid_search(rates))
    finally:
        ray.shutdown()
    counts = [result.metrics["training_iteration"] for result in halved]
    assert not halved.errors and min(counts) < 9 <= max(counts), "some are stopped, some go the whole way"
    assert run.load(halved.get_best_result().checkpoint.path).config.training.steps == 2048
    alone = run.train(preset(ENV, **BASE | {"steps": 2048, "critic_lr": 1e-3}))
    assert killer.killed and not hurt.errors
    assert last(Path(hurt[0].checkpoint.path))["state_sha256"] == alone.metrics[-1]["state_sha256"]
    assert not copied.errors and {result.metrics["env_steps"] for result in copied} == {2048}
    assert any(result.config["critic_lr"] not in rates for result in copied), "a copy was perturbed"
