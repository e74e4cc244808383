"""With Stable-Baselines3 itself: its callbacks, vector environments and loggers around softrl's model.

It is in the benchmarks' environment: `scripts/bench compat` runs this file there.
"""

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="scripts/bench compat runs it")

from stable_baselines3.common.callbacks import (
    BaseCallback,
    CallbackList,
    CheckpointCallback,
    EvalCallback,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize
from stable_baselines3.sac import MlpPolicy
from torch import nn

import softrl
from softrl.compat.sb3 import SAC
from tests.compat.everyday import LENGTH, SMALL, Steps


class Rewards(BaseCallback):
    def _init_callback(self):
        self.total = 0.0

    def _on_step(self):
        self.total += self.locals["rewards"].sum()
        self.logger.record_mean("custom/reward", self.locals["rewards"].mean())
        assert self.training_env.num_envs == len(self.locals["dones"])
        return True


@pytest.mark.parametrize("env", [Steps, lambda: make_vec_env(Steps, n_envs=3)], ids=["one", "make_vec_env"])
def test_its_callbacks_evaluate_save_log_and_stop(env, tmp_path, recwarn):
    evaluation = EvalCallback(
        Monitor(Steps()),
        callback_on_new_best=StopTrainingOnRewardThreshold(LENGTH - 1, verbose=0),
        eval_freq=12,
        n_eval_episodes=2,
        log_path=str(tmp_path),
        best_model_save_path=str(tmp_path / "best"),
        verbose=0,
    )
    rewards, saving = Rewards(), CheckpointCallback(6, str(tmp_path / "saved"))
    model = SAC(MlpPolicy, env(), **{**SMALL, "policy_kwargs": {"net_arch": [8], "activation_fn": nn.ReLU}})
    model.set_logger(configure(str(tmp_path / "log"), ["csv"]))
    model.learn(300, callback=CallbackList([rewards, saving, evaluation]))
    assert rewards.total == model.num_timesteps == 12 * model.n_envs
    assert np.load(tmp_path / "evaluations.npz")["results"].tolist() == [[LENGTH, LENGTH]]
    assert "eval/mean_reward" in (tmp_path / "log" / "progress.csv").read_text()
    for name in (f"saved/rl_model_{6 * model.n_envs}_steps.zip", "best/best_model.zip"):
        assert SAC.load(tmp_path / name, env=env()).num_timesteps in (6 * model.n_envs, 12 * model.n_envs)
    assert not [warning for warning in recwarn if "not of the same type" in str(warning.message)]


def test_its_evaluation_takes_the_model_and_the_models_environment(recwarn):
    model = SAC("MlpPolicy", Steps(), **SMALL)
    assert evaluate_policy(model, model.get_env(), n_eval_episodes=3) == (LENGTH, 0.0)
    assert evaluate_policy(model, Monitor(Steps()), n_eval_episodes=3) == (LENGTH, 0.0)
    assert not [warning for warning in recwarn if "Monitor" in str(warning.message)]


@pytest.mark.parametrize("kind", [DummyVecEnv, SubprocVecEnv])
def test_its_vector_environments_store_true_successors(kind):
    env = kind([lambda: Monitor(Steps()), lambda: Monitor(Steps(4))])
    model = SAC("MlpPolicy", env, gradient_steps=0, **SMALL).learn(60)
    replay = model.learner._state.learner.replay
    obs, successors = np.asarray(replay.obs)[:60], np.asarray(replay.next_obs)[:60]
    np.testing.assert_array_equal(successors, obs + np.float32([1, 0]))
    dead = (successors[:, 0] == LENGTH) & (obs[:, 1] % 2 == 1)
    np.testing.assert_array_equal(np.asarray(replay.terminated)[:60], dead)
    assert {episode["r"] for episode in model.ep_info_buffer} == {LENGTH}
    env.close()


def test_its_normaliser_is_refused():
    with pytest.raises(softrl.ConfigError, match="VecNormalize"):
        SAC("MlpPolicy", VecNormalize(DummyVecEnv([Steps])), **SMALL)
