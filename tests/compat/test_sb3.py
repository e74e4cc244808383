"""Stable-Baselines3's manner: learn, predict, save, load."""

import gymnasium
import numpy as np
import pytest

import softrl
from softrl.compat.sb3 import SAC, evaluate_policy
from tests.compat.everyday import LENGTH, SMALL, Steps, Watcher

pytestmark = pytest.mark.usefixtures("compiled_once")


@pytest.fixture(scope="module")
def model():
    return SAC("MlpPolicy", "Pendulum-v1", **SMALL).learn(60)


def test_it_steps_learns_and_acts_in_the_environments_bounds(model):
    assert model.num_timesteps == 60
    assert (model.learner.stored, model.learner.version) == (60, 41)
    obs = model.get_env().observation_space.sample()
    action, state = model.predict(obs)
    assert state is None
    assert action.shape == (1,)
    many = np.stack([model.predict(obs)[0] for _ in range(30)])
    assert np.abs(many).max() <= 2.0
    np.testing.assert_array_equal(model.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0])


def test_what_gymnasiums_reset_gives_is_not_taken_for_an_observation(model):
    with pytest.raises(softrl.ConfigError, match=r"got \(observation, info\): obs, info = env.reset\(\)"):
        model.predict((np.zeros(3, np.float32), {}))


def test_a_loaded_model_predicts_the_same_and_learns_on(model, tmp_path):
    model.save(tmp_path / "pendulum")
    loaded = SAC.load(tmp_path / "pendulum", env="Pendulum-v1")
    obs = np.float32([1.0, 0.0, 0.5])
    np.testing.assert_array_equal(loaded.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0])
    assert loaded.learner.state_sha256() == model.learner.state_sha256()
    loaded.learn(10, reset_num_timesteps=False)
    assert loaded.num_timesteps == 70
    assert loaded.learner.version == 51
    model.save(tmp_path / "pendulum")  # again, over the old one


def test_an_environment_with_other_spaces_cannot_take_the_place_of_the_old_one(model):
    with pytest.raises(softrl.ConfigError, match=r"observations of this model are .*\(3,\).*\(2,\)"):
        model.set_env("MountainCarContinuous-v0")
    with pytest.raises(softrl.ConfigError, match=r"low of this model are \[-2.0\], of env \[-1.0\]"):
        model.set_env(gymnasium.wrappers.RescaleAction(gymnasium.make("Pendulum-v1"), np.float32(-1), np.float32(1)))
    model.set_env("Pendulum-v1")


def test_a_callback_ends_learning(model):
    seen = []

    def stop(local, _):
        seen.append(local["self"].num_timesteps)
        return len(seen) < 3

    model.learn(50, stop)
    assert seen == [1, 2, 3]


def test_a_time_limit_is_stored_as_no_death():
    env = gymnasium.make("Pendulum-v1", max_episode_steps=5)
    small = SAC("MlpPolicy", env, **{**SMALL, "learning_starts": 1_000}).learn(12)
    assert not np.asarray(small.learner._state.learner.replay.terminated).any()
    successors = np.asarray(small.learner._state.learner.replay.next_obs)
    starts = np.asarray(small.learner._state.learner.replay.obs)
    assert not np.array_equal(successors[4], starts[5])  # the true last observation, not the next episode's first


@pytest.mark.parametrize(
    "arguments",
    [
        {"device": "cpu"},
        {"action_noise": None, "use_sde": False, "optimize_memory_usage": False, "replay_buffer_class": None},
        {"tensorboard_log": None, "train_freq": (1, "step"), "stats_window_size": 10},
        {"learning_rate": lambda left: 3e-4 * left},
        {"policy_kwargs": {"net_arch": {"pi": [8], "qf": [8]}, "n_critics": 2}},
    ],
    ids=lambda arguments: ",".join(arguments),
)
def test_arguments_of_everyday_scripts_are_taken(arguments):
    assert SAC("MlpPolicy", Steps(), **{**SMALL, **arguments}).learn(2).num_timesteps == 2


REFUSED = [
    ({"policy": "CnnPolicy"}, "policy must be MlpPolicy"),
    ({"env": None}, "env must be a Gymnasium id"),
    ({"env": "CartPole-v1"}, "continuous actions"),
    ({"ent_coef": "automatic"}, "ent_coef .*'automatic'"),
    ({"ent_coef": 0.0}, "ent_coef must be in"),
    ({"policy_kwargs": {"net_arch": [64, 0]}}, r"net_arch must be in \[1, inf\], got 0"),
    ({"policy_kwargs": {"net_arch": {"pi": [64]}}}, r"dict\(pi="),
    ({"policy_kwargs": {"features_extractor_class": object}}, "unknown policy_kwargs 'features_extractor_class'"),
    ({"policy_kwargs": {"activation_fn": "sigmoid"}}, "activation must be one of"),
    ({"train_freq": 0}, r"train_freq must be in \[1, inf\], got 0"),
    ({"train_freq": (1, "epoch")}, "train_freq must be n"),
    ({"learning_rate": -1.0}, "learning_rate must be in"),
    ({"learning_rate": "lin_3e-4"}, "learning_rate must be a number"),
    ({"buffer_size": 8}, r"buffer_size must be in \[16, inf\], got 8"),
    ({"use_sde": True}, "use_sde is not taken, only use_sde=False"),
    ({"action_noise": object()}, "action_noise is not taken"),
    ({"n_steps": 3}, "n_steps is not taken.*--n-step"),
    ({"lerning_rate": 1e-3}, "did you mean 'learning_rate'"),
]


@pytest.mark.parametrize("arguments, words", REFUSED, ids=[words for _, words in REFUSED])
def test_arguments_that_cannot_be_are_refused_in_the_callers_words(arguments, words):
    given = {"policy": "MlpPolicy", "env": "Pendulum-v1", **SMALL, **arguments}
    with pytest.raises(softrl.ConfigError, match=words) as refused:
        SAC(**given)
    assert "\n" not in str(refused.value)


def test_normalised_vector_environments_are_refused():
    class VecNormalize:
        num_envs, step_async, get_original_obs = 1, None, None

    class VecMonitor:
        num_envs, step_async, venv = 1, None, VecNormalize()

    with pytest.raises(softrl.ConfigError, match="VecNormalize would change observations"):
        SAC("MlpPolicy", VecMonitor(), **SMALL)


def test_callbacks_are_called_in_order_and_only_false_ends_learning(model):
    model.set_env("Pendulum-v1")
    silent, stopping = Watcher(lambda _: None), Watcher(lambda watcher: watcher.n_calls < 2)
    model.learn(50, callback=[silent, [stopping]])
    begin = ["init", "start", "rollout", "step"]
    assert silent.called == stopping.called == [*begin, "rollout end", "rollout", "step", "end"]
    assert stopping.locals["self"] is model and stopping.locals["total_timesteps"] == 50
    with pytest.raises(softrl.ConfigError, match="callback must be a function"):
        model.learn(1, callback="checkpoint")


def test_a_rate_of_zero_moves_no_weight_and_a_schedule_ends_there():
    model = SAC("MlpPolicy", Steps(), learning_rate=lambda left: 1e-2 if left > 0.5 else 0.0, **SMALL)
    policies = []
    model.learn(80, callback=lambda local, _: policies.append(local["self"].learner.policy()))
    first, middle, last = (policies[i].arrays["policy/Dense_0/kernel"] for i in (20, 41, 79))
    assert np.abs(first - middle).max() > 1e-3
    np.testing.assert_array_equal(middle, last)
    assert policies[79].version > policies[41].version


def test_a_model_takes_the_place_of_another_but_of_nothing_else(model, tmp_path):
    other = SAC("MlpPolicy", "Pendulum-v1", **{**SMALL, "seed": 2})
    for saved in (other, model):
        saved.save(tmp_path / "model.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert SAC.load(tmp_path / "model").learner.state_sha256() == model.learner.state_sha256()
    (tmp_path / "model" / "rl_model_1000_steps").mkdir()  # a callback's, which must not go with the model
    with pytest.raises(softrl.ConfigError, match="another model, and rl_model_1000_steps: save elsewhere"):
        other.save(tmp_path / "model")
    other.learner.save_copy(tmp_path / "arm", {"robot": "arm"})
    with pytest.raises(softrl.ConfigError, match="another"):
        model.save(tmp_path / "arm")
    (tmp_path / "theirs.zip").write_bytes(b"PK")
    for name in ("theirs", "theirs.zip"):
        with pytest.raises(softrl.ConfigError, match=r"theirs.zip is a file"):
            SAC.load(tmp_path / name)
    with pytest.raises(softrl.ConfigError, match="buffer_size cannot change at load"):
        SAC.load(tmp_path / "model", buffer_size=1)


def test_a_model_saved_before_shapes_were_is_still_read(model, tmp_path):
    names = ("num_timesteps", "gradient_steps", "verbose", "seed")
    old = {name: getattr(model, name) for name in names} | {"train_freq": 1, "low": [-2.0], "high": [2.0]}
    model.learner.save_copy(tmp_path / "old", {"sb3": old})
    loaded = SAC.load(tmp_path / "old", env="Pendulum-v1")
    obs = np.float32([1.0, 0.0, 0.5])
    np.testing.assert_array_equal(loaded.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0])
    assert loaded.learn(2, reset_num_timesteps=False).num_timesteps == model.num_timesteps + 2


def test_evaluation_counts_as_many_episodes_in_each_environment():
    class Short(Steps):
        def step(self, action):
            obs, reward, _, _, info = super().step(action)
            return obs, reward, True, False, info

    class Actions:
        def predict(self, observation, deterministic=False):
            return np.ones((len(observation), 2), np.float32), None

    env, seen = gymnasium.vector.SyncVectorEnv([Steps, Short]), []
    returns, lengths = evaluate_policy(
        Actions(),
        env,
        n_eval_episodes=4,
        callback=lambda local, _: seen.append(local["info"]),
        return_episode_rewards=True,
    )
    assert sorted(returns) == sorted(lengths) == [1, 1, LENGTH, LENGTH] and len(seen) == 2 * (1 + LENGTH)
    with pytest.raises(AssertionError, match="not above 3"):
        evaluate_policy(Actions(), env, n_eval_episodes=4, reward_threshold=3)
