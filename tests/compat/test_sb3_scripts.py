"""Scripts of the kinds that people have for Stable-Baselines3, rl-baselines3-zoo's among them: one import differs."""

import gymnasium
import numpy as np
import pytest

from softrl.compat.sb3 import SAC, evaluate_policy
from tests.compat.everyday import LENGTH, SMALL, Steps, TheirVecEnv, Watcher

pytestmark = pytest.mark.usefixtures("compiled_once")


def linear_schedule(first):
    return lambda progress_remaining: progress_remaining * first


class SaveEvery:
    """As `CheckpointCallback`: a zip file by name."""

    def __init__(self, every, folder):
        self.every, self.folder = every, folder

    def init_callback(self, model):
        self.model = model

    def on_step(self):
        if self.model.num_timesteps % self.every == 0:
            self.model.save(f"{self.folder}/rl_model_{self.model.num_timesteps}_steps.zip")
        return True


class EvaluateEvery:
    """As `EvalCallback`: records, and keeps the best model."""

    def __init__(self, every, env, folder):
        self.every, self.env, self.folder, self.means = every, env, folder, []

    def init_callback(self, model):
        assert model.get_vec_normalize_env() is None
        self.model = model

    def on_step(self):
        if self.model.num_timesteps % self.every == 0:
            self.means.append(evaluate_policy(self.model, self.env, n_eval_episodes=2, warn=False)[0])
            self.model.logger.record("eval/mean_reward", float(self.means[-1]))
            self.model.logger.record("time/total_timesteps", self.model.num_timesteps, exclude="tensorboard")
            self.model.logger.dump(self.model.num_timesteps)
            self.model.save(f"{self.folder}/best_model")
        return True


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The zoo's `train`: schedule, unequal layers, bursts of updates, a list of callbacks, TensorBoard."""
    logs = tmp_path_factory.mktemp("logs")
    hyperparams = {
        "policy": "MlpPolicy",
        "learning_rate": linear_schedule(7.3e-4),
        "batch_size": 16,
        "buffer_size": 500,
        "ent_coef": "auto",
        "gamma": 0.99,
        "tau": 0.01,
        "train_freq": 8,
        "gradient_steps": 8,
        "learning_starts": 16,
        "policy_kwargs": {"log_std_init": -3, "net_arch": [12, 9]},
    }
    model = SAC(env=Steps(), tensorboard_log=str(logs), seed=0, verbose=1, device="auto", **hyperparams)
    calls = [EvaluateEvery(24, Steps(), logs), SaveEvery(32, logs)]
    model.learn(48, log_interval=2, callback=calls)
    model.save(f"{logs}/Steps-v0")
    return model, calls, logs


def test_the_zoos_train_runs_every_callback_and_follows_the_schedule(trained):
    model, (evaluation, _), logs = trained
    assert (model.num_timesteps, model.learner.version) == (48, 40)
    assert evaluation.means == [LENGTH, LENGTH]
    shapes = {name: array.shape for name, array in model.learner.policy().arrays.items() if "kernel" in name}
    assert [*shapes.values()] == [(2, 12), (12, 9), (9, 4)]
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard")
    events = reader.EventAccumulator(str(logs / "SAC_1")).Reload()
    # Written when the second, fourth, … episode ends (steps 10, 20, …); what was learnt with at the last burst before.
    rates = {point.step: point.value for point in events.Scalars("train/learning_rate")}
    assert rates[20] == pytest.approx(7.3e-4 * (1 - 16 / 48))
    assert [point.value for point in events.Scalars("eval/mean_reward")] == [LENGTH, LENGTH]
    assert "time/total_timesteps" not in events.Tags()["scalars"]


@pytest.mark.parametrize("name", ["Steps-v0", "Steps-v0.zip", "best_model.zip", "rl_model_32_steps"])
def test_the_zoos_enjoy_finds_what_was_saved_and_plays_it(name, trained):
    _, _, logs = trained
    objects = {"learning_rate": 0.0, "lr_schedule": lambda _: 0.0, "clip_range": lambda _: 0.0}
    model = SAC.load(logs / name, env=TheirVecEnv([Steps]), custom_objects=objects, device="cpu", seed=1)
    env = model.get_env()
    obs, state, episode_start, returns = env.reset(), None, np.ones(1, bool), 0.0
    for _ in range(2 * LENGTH):
        action, state = model.predict(obs, state=state, episode_start=episode_start, deterministic=True)
        obs, reward, episode_start, infos = env.step(action)
        returns += reward[0]
    assert returns == 2 * LENGTH and infos[0]["at"] == LENGTH


def test_learning_after_whole_episodes_makes_as_many_updates_as_steps():
    """As the zoo's settings of robots have it."""
    model = SAC("MlpPolicy", Steps(), train_freq=[1, "episode"], gradient_steps=-1, **SMALL)
    watcher = Watcher()
    model.learn(total_timesteps=3e1, callback=watcher)
    assert model.learner.version == 3 * LENGTH  # from the fourth episode's end on there are 20 rows
    assert watcher.called.count("rollout") == 30 / LENGTH


VECTORS = {
    "make_vec_env": lambda: TheirVecEnv([Steps, lambda: Steps(4), Steps]),
    "one": Steps,
    **{
        mode: lambda mode=mode: gymnasium.vector.SyncVectorEnv([Steps, lambda: Steps(4), Steps], autoreset_mode=mode)
        for mode in ("NextStep", "SameStep", "Disabled")
    },
    "async": lambda: gymnasium.vector.AsyncVectorEnv([Steps, Steps], context="spawn"),
}


@pytest.mark.parametrize("kind", VECTORS)
def test_no_vector_environment_stores_a_wrong_successor_or_a_time_limit_as_death(kind):
    model = SAC("MlpPolicy", VECTORS[kind](), gradient_steps=0, **SMALL)
    watcher = Watcher()
    model.learn(60, callback=[watcher])
    replay = model.learner._state.learner.replay
    size = model.replay_buffer.size()
    assert size == model.num_timesteps == 60 == watcher.n_calls * model.n_envs
    obs, successors = np.asarray(replay.obs)[:size], np.asarray(replay.next_obs)[:size]
    np.testing.assert_array_equal(successors, obs + np.float32([1, 0]))
    dead = (successors[:, 0] == LENGTH) & (obs[:, 1] % 2 == 1)
    np.testing.assert_array_equal(np.asarray(replay.terminated)[:size], dead)
    assert dead.any() and (obs[:, 0] < LENGTH).all()
    assert watcher.locals["dones"].all() and {info["at"] for info in watcher.locals["infos"]} == {LENGTH}
    means = evaluate_policy(model, model.get_env(), n_eval_episodes=4, return_episode_rewards=True)
    assert means == ([LENGTH] * 4, [LENGTH] * 4)
    model.get_env().close()


def test_training_goes_on_with_another_environment_and_another_logger(trained):
    class Recorder:
        def __init__(self):
            self.keys, self.steps = set(), []

        def record(self, key, value, exclude=None):
            self.keys.add(key)

        def dump(self, step=0):
            self.steps.append(step)

    _, _, logs = trained
    seen = []
    model = SAC.load(f"{logs}/Steps-v0.zip", learning_rate=linear_schedule(1e-3), train_freq=(4, "step"))
    model.set_env(TheirVecEnv([Steps] * 2))
    recorder = Recorder()
    model.set_logger(recorder)

    def callback(local, _):
        seen.append(local["self"].num_timesteps)
        return np.bool_(len(seen) < 6)  # what comparisons of arrays give

    model.learn(1_000, callback, log_interval=1, tb_log_name="more", reset_num_timesteps=False)
    assert seen == [50, 52, 54, 56, 58, 60]
    assert {"train/actor_loss", "train/critic_loss", "train/ent_coef", "time/fps"} <= recorder.keys
    assert recorder.steps == [58, 58]
