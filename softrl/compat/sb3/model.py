"""The model: Stable-Baselines3's `SAC` over a `softrl.Learner`."""

import inspect
import time
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from softrl.compat.sb3 import arguments, callbacks, environments, logger, saving
from softrl.compat.sb3.arguments import Schedule
from softrl.compat.sb3.callbacks import Callback
from softrl.compat.sb3.environments import VectorEnv, vectorised
from softrl.envs import boxes
from softrl.errors import ConfigError
from softrl.learner import Learner
from softrl.types import PyTree

RECORDED = {"train/ent_coef": "temperature", "train/actor_loss": "policy_loss", "train/critic_loss": "critic_loss"}
"""Stable-Baselines3's names of what an update measures, and softrl's."""

FREE = ("learning_rate", "train_freq", "gradient_steps", "stats_window_size", "tensorboard_log", "verbose", "seed")
"""Arguments that `load` may change."""


class Replay(NamedTuple):
    """What scripts ask of `model.replay_buffer`. buffer_size: rows that it can hold. rows: that it holds."""

    buffer_size: int
    rows: int

    def size(self) -> int:
        """The transitions that are kept now."""
        return self.rows


class SAC:
    """Soft actor-critic with `.learn`, `.predict`, `.save` and `.load`.

    num_timesteps: steps of all environments. env: in the shape of `VecEnv`. ep_info_buffer: return `r` and length `l`
    of the last episodes. logger: what callbacks record goes there.
    """

    def __init__(
        self,
        policy: Any = "MlpPolicy",
        env: Any = None,
        learning_rate: float | Schedule = 3e-4,
        buffer_size: int = 1_000_000,
        learning_starts: int = 100,
        batch_size: int = 256,
        tau: float = 0.005,
        gamma: float = 0.99,
        train_freq: int | tuple[int, str] = 1,
        gradient_steps: int = 1,
        *,
        ent_coef: str | float = "auto",
        target_entropy: str | float = "auto",
        policy_kwargs: dict[str, Any] | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        seed: int | None = None,
        **more: Any,
    ):
        """Makes the learner, and compiles it.

        Args: as Stable-Baselines3's; docs/stable_baselines3.md says which are taken.
        Raises: ConfigError: an argument that cannot be.
        """
        arguments.require_idle(more, inspect.signature(type(self)).parameters)
        config = arguments.config(
            policy, learning_rate, ent_coef, target_entropy, policy_kwargs or {},
            learning_starts=learning_starts, batch_size=batch_size, tau=tau, gamma=gamma,
        )  # fmt: skip
        capacity = arguments.whole("buffer_size", buffer_size, config.sampling.batch_size)
        free = (learning_rate, train_freq, gradient_steps, stats_window_size, tensorboard_log, verbose, seed)
        env = vectorised(env)
        its = environments.spaces(env)
        self._begin(its, dict(zip(FREE, free, strict=True)))
        self.learner = Learner(config, its.obs, its.action.size, replay_capacity=capacity, seed=seed or 0)
        self.env = env
        if seed is not None or isinstance(env, VectorEnv):  # theirs may have been given seeds of their own
            env.seed(seed or 0)

    def _begin(self, its: boxes.Boxes, free: dict[str, Any], num_timesteps: int = 0) -> None:
        for name in FREE:
            setattr(self, name, free[name])
        self.train_freq = arguments.frequency(self.train_freq)
        self.gradient_steps = arguments.whole("gradient_steps", self.gradient_steps, -1)
        self._boxes, self.env, self._obs, self._rate = its, None, None, None
        self.num_timesteps, self._episodes, self._start = num_timesteps, 0, (time.monotonic(), num_timesteps)
        self.ep_info_buffer: deque[dict[str, Any]] = deque(maxlen=self.stats_window_size)
        self._sink, self._own_logger, self.logger = logger.files(self.tensorboard_log), True, logger.Logger()

    @property
    def observation_space(self) -> Any:
        """Of one environment."""
        return self._environment().observation_space

    @property
    def action_space(self) -> Any:
        """Of one environment."""
        return self._environment().action_space

    @property
    def n_envs(self) -> int:
        """Environments that step together."""
        return self._environment().num_envs

    @property
    def replay_buffer(self) -> Replay:
        """How full the replay is."""
        capacity = self.learner.replay_capacity
        return Replay(capacity, min(self.learner.stored, capacity))

    def learn(
        self,
        total_timesteps: int,
        callback: Callback = None,
        log_interval: int | None = 4,
        tb_log_name: str = "SAC",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> "SAC":
        """Steps the environments and learns, `train_freq` at a time.

        Args: as Stable-Baselines3's. `log_interval`: episodes between lines; `progress_bar`: prints these lines too.
        Returns: itself.
        """
        env, total_timesteps = self._environment(), arguments.whole("total_timesteps", total_timesteps)
        if reset_num_timesteps or self._obs is None:
            self._obs = boxes.cast(self._boxes, env.reset())
        self.num_timesteps = 0 if reset_num_timesteps else self.num_timesteps
        self._start = time.monotonic(), self.num_timesteps
        if self._own_logger:
            run = logger.next_run(self._sink, tb_log_name, new=reset_num_timesteps)
            self.logger = logger.Logger(printing=bool(self.verbose or progress_bar), sink=self._sink, run=run)
        total_timesteps += self.num_timesteps
        scope = {"self": self, "env": env, "total_timesteps": total_timesteps, "log_interval": log_interval}
        calls = callbacks.listed(callback)
        callbacks.call(calls, "init_callback", self)
        callbacks.call(calls, "on_training_start", scope, globals())
        try:
            while self.num_timesteps < total_timesteps and (steps := self._rollout(calls, scope)):
                updates = steps if self.gradient_steps < 0 else self.gradient_steps
                if updates:
                    self._improve(updates, max(1.0 - self.num_timesteps / total_timesteps, 0.0))
            callbacks.call(calls, "on_training_end")
        finally:
            if self._own_logger:
                self.logger.close()
        return self

    def predict(
        self, observation: PyTree, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Actions in the environment's bounds for one observation or a batch, and `state` as it came in.

        Raises: ConfigError for what Gymnasium's `reset` gives, an observation and its info.
        """
        if isinstance(observation, tuple) and len(observation) == 2 and isinstance(observation[1], dict):
            raise ConfigError("predict takes an observation, got (observation, info): obs, info = env.reset()")
        action = self.learner.act(boxes.cast(self._boxes, observation), deterministic=deterministic)
        scaled = boxes.given(self._boxes, np.atleast_2d(action))
        return scaled if action.ndim > 1 else scaled[0], state

    def save(self, path: str | Path) -> None:
        """Saves everything, replay included, into the directory `path` (a `.zip` at its end is left out).

        Another model of this class that is there makes way.
        Raises: CheckpointError: the disk refused. ConfigError: something else is there.
        """
        saved = {name: getattr(self, name) for name in FREE} | {"num_timesteps": self.num_timesteps}
        saved |= environments.written(self._boxes) | {"learning_rate": arguments.rate(self.learning_rate, 1.0)}
        saving.save(self.learner, saving.folder(path), saved)

    @classmethod
    def load(
        cls, path: str | Path, env: Any = None, device: Any = "auto", custom_objects: Any = None, **changes: Any
    ) -> "SAC":
        """The model that `save` wrote; a schedule of the rate has become the number that it began with.

        Args: `env`: to learn on in; `custom_objects`, `changes`: other values of `FREE`.
        Raises: CheckpointError: there is none, or it is damaged. ConfigError: something else is there, another change.
        """
        changes = {name: value for name, value in (custom_objects or {}).items() if name in FREE} | changes
        for name in changes.keys() - {*FREE, "print_system_info", "force_reset"}:
            raise ConfigError(f"{name} cannot change at load, only {', '.join(FREE)}: make a new model")
        learner, saved = saving.load(saving.folder(path))
        model = cls.__new__(cls)
        model.learner = learner
        model._begin(environments.read(learner.spec.obs, saved), saved | changes, saved["num_timesteps"])
        if env is not None:
            model.set_env(env)
        return model

    def set_env(self, env: Any, force_reset: bool = True) -> None:
        """Learns on in other environments, from fresh episodes.

        Raises: ConfigError: other observations or actions than this model's.
        """
        env = vectorised(env)
        mine, its = self._boxes, environments.spaces(env)
        pairs = [("observations", mine.obs, its.obs), ("shape of actions", mine.shape, its.shape)]
        pairs += [("first values", mine.starts, its.starts)]
        pairs += [(end, [*getattr(mine.action, end)], [*getattr(its.action, end)]) for end in ("low", "high")]
        for what, ours, theirs in pairs:
            if ours != theirs:
                raise ConfigError(f"{what} of this model are {ours}, of env {theirs}: give one with the same spaces")
        self.env, self._obs = env, None

    def get_env(self) -> Any:
        """The environments, in the shape of `VecEnv`; None where there are none."""
        return self.env

    def get_vec_normalize_env(self) -> None:
        """None: there is none."""

    def set_logger(self, given: Any) -> None:
        """Records from here on with another logger: one of Stable-Baselines3's, or of its shape."""
        self.logger, self._own_logger = given, False

    def dump_logs(self) -> None:
        """Writes what was recorded, with the last episodes' means."""
        for name, key in (("rollout/ep_rew_mean", "r"), ("rollout/ep_len_mean", "l")):
            if self.ep_info_buffer:
                self.logger.record(name, float(np.mean([episode[key] for episode in self.ep_info_buffer])))
        began, before = self._start
        self.logger.record("time/fps", int((self.num_timesteps - before) / max(time.monotonic() - began, 1e-9)))
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        self.logger.dump(step=self.num_timesteps)

    def save_replay_buffer(self, path: Any) -> None:
        """Raises: ConfigError: `save` keeps the replay."""
        raise ConfigError("save keeps the replay with the model: leave out save_replay_buffer")

    def load_replay_buffer(self, path: Any) -> None:
        """Raises: ConfigError: `load` brings the replay back."""
        raise ConfigError("load brings the replay back with the model: leave out load_replay_buffer")

    def _environment(self) -> Any:
        if self.env is None:
            raise ConfigError("this model has no environment: give `load` or `set_env` one")
        return self.env

    def _rollout(self, calls: list[Any], scope: dict[str, Any]) -> int:
        """Steps until it is time to learn. Returns: steps of all environments; 0 where a callback ended learning."""
        number, unit = self.train_freq
        done = {"step": 0, "episode": 0}
        callbacks.call(calls, "on_rollout_start")
        while done[unit] < number:
            scope |= self._step()
            callbacks.call(calls, "update_locals", scope)
            if not callbacks.call(calls, "on_step"):
                return 0
            done["step"] += 1
            for _ in range(np.count_nonzero(scope["dones"])):
                done["episode"] += 1
                self._episodes += 1
                if scope["log_interval"] and self._episodes % scope["log_interval"] == 0:
                    self.dump_logs()
        callbacks.call(calls, "on_rollout_end")
        return done["step"] * self.n_envs

    def _step(self) -> dict[str, Any]:
        """One step of every environment, stored. Returns: what callbacks find in `locals`."""
        action, its = self.learner.act(self._obs), self._boxes
        actions = boxes.given(its, action)
        new_obs, rewards, dones, infos = self.env.step(actions)
        cut = np.array([bool(info.get("TimeLimit.truncated", False)) for info in infos])
        last, new = boxes.cast(its, new_obs), boxes.cast(its, new_obs)
        for n in np.flatnonzero(dones):
            boxes.put(last, n, boxes.cast(its, infos[n]["terminal_observation"]))
        row = {"obs": self._obs, "action": action, "reward": np.asarray(rewards, np.float32)}
        self.learner.add(row | {"terminated": dones & ~cut, "next_obs": last})
        self.num_timesteps += len(dones)
        self.ep_info_buffer.extend(info["episode"] for info in infos if "episode" in info)
        self._obs = new
        return {"actions": actions, "new_obs": new_obs, "rewards": rewards, "dones": dones, "infos": infos}

    def _improve(self, updates: int, remaining: float) -> None:
        """Makes updates, at the rate for the share of `learn` that remains."""
        rate = arguments.rate(self.learning_rate, remaining)
        if rate != self._rate:
            with arguments.in_their_words():
                self.learner.adjust(**arguments.rates(rate))
            self._rate = rate
        metrics = self.learner.step(updates)
        if metrics["updates"]:
            for theirs, ours in RECORDED.items():
                self.logger.record(theirs, metrics[ours])
            self.logger.record("train/learning_rate", rate)
            self.logger.record("train/n_updates", self.learner.version, exclude="tensorboard")
