"""What everyday scripts bring: environments, callbacks and vector environments in Stable-Baselines3's shape."""

import gymnasium
import numpy as np

SMALL = {"policy_kwargs": {"net_arch": [8]}, "batch_size": 16, "buffer_size": 500, "learning_starts": 20, "seed": 1}
LENGTH = 5


class Steps(gymnasium.Env):
    """Observes (steps of this episode, episode) and pays 1 a step; odd episodes end by death, even ones by time."""

    observation_space = gymnasium.spaces.Box(0, 1_000, (2,), np.float32)
    action_space = gymnasium.spaces.Box(np.float32([-1, 0]), np.float32([1, 10]))

    def __init__(self, episode: int = -1):
        self.step_, self.episode = 0, episode

    def reset(self, *, seed=None, options=None):
        self.step_, self.episode = 0, self.episode + 1
        return self._seen(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.step_ += 1
        ends, odd = self.step_ == LENGTH, self.episode % 2 == 1
        return self._seen(), 1.0, ends and odd, ends and not odd, {"at": self.step_}

    def _seen(self):
        return np.float32([self.step_, self.episode])


class TheirVecEnv:
    """Environments in the shape of `DummyVecEnv`, by its public methods alone."""

    def __init__(self, makers):
        self.envs = [maker() for maker in makers]
        self.num_envs, self.seeds = len(self.envs), []
        self.observation_space, self.action_space = self.envs[0].observation_space, self.envs[0].action_space

    def seed(self, seed=None):
        self.seeds.append(seed)

    def reset(self):
        return np.stack([env.reset()[0] for env in self.envs])

    def step_async(self, actions):
        self.actions = actions

    def step_wait(self):
        rows = [self._one(env, action) for env, action in zip(self.envs, self.actions, strict=True)]
        obs, rewards, dones, infos = zip(*rows, strict=True)
        return np.stack(obs), np.float32(rewards), np.array(dones), list(infos)

    def step(self, actions):
        self.step_async(actions)
        return self.step_wait()

    def close(self):
        pass

    def _one(self, env, action):
        obs, reward, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            info |= {"terminal_observation": obs, "TimeLimit.truncated": truncated}
            obs = env.reset()[0]
        return obs, reward, terminated or truncated, info


class Watcher:
    """A callback in the shape of `BaseCallback`: notes what is called, and answers as it is told to."""

    def __init__(self, answer=lambda watcher: True):
        self.answer, self.called, self.n_calls = answer, [], 0

    def init_callback(self, model):
        self.model = model
        self.called.append("init")

    def on_training_start(self, local, everywhere):
        self.locals = local
        self.called.append("start")

    def on_rollout_start(self):
        self.called.append("rollout")

    def update_locals(self, local):
        self.locals.update(local)

    def on_step(self):
        self.n_calls, self.num_timesteps = self.n_calls + 1, self.model.num_timesteps
        self.called.append("step")
        return self.answer(self)

    def on_rollout_end(self):
        self.called.append("rollout end")

    def on_training_end(self):
        self.called.append("end")
