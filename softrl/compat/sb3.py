"""`SAC` in the manner of Stable-Baselines3, for one Gymnasium environment.

    from softrl.compat.sb3 import SAC          # was: from stable_baselines3 import SAC
    model = SAC("MlpPolicy", "Pendulum-v1", verbose=1).learn(20_000)
    action, _ = model.predict(obs, deterministic=True)

The defaults are Stable-Baselines3's. A saved model is a directory, not a zip file, and holds the replay too, so that
learning goes on exactly; there is no pickle in it. `softrl train gym/…` is faster: it learns while the simulator steps.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np

from softrl.agents.spaces import spec_of
from softrl.config import Seed, Within, change, is_whole, setting
from softrl.envs import boxes
from softrl.envs.gymnasium import library
from softrl.errors import ConfigError
from softrl.learner import Learner, LearnerConfig
from softrl.types import Continuous, PyTree

Callback = Callable[[dict[str, Any], dict[str, Any]], bool | None]
"""`callback(locals, globals)`, called after every step; False ends `learn`. `locals["self"]` is the model."""


class SAC:
    """Soft actor-critic with `.learn`, `.predict`, `.save` and `.load`."""

    def __init__(
        self,
        policy: str = "MlpPolicy",
        env: Any = None,
        learning_rate: float = 3e-4,
        buffer_size: int = 1_000_000,
        learning_starts: int = 100,
        batch_size: int = 256,
        tau: float = 0.005,
        gamma: float = 0.99,
        train_freq: int = 1,
        gradient_steps: int = 1,
        *,
        ent_coef: str | float = "auto",
        target_entropy: str | float = "auto",
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
    ):
        """Makes the learner.

        Args: as Stable-Baselines3's. policy: MlpPolicy or MultiInputPolicy. env: a Gymnasium id or environment.
          gradient_steps: −1 is as many as steps. ent_coef: auto, auto_0.1 (first value) or a number (fixed).
          policy_kwargs: `net_arch=[width, …, width]`.
        Raises: ConfigError: an argument that cannot be.
        """
        if policy not in ("MlpPolicy", "MultiInputPolicy"):
            raise ConfigError(f"policy must be MlpPolicy or MultiInputPolicy, got {policy!r}")
        self.env, self.verbose, self.num_timesteps = _environment(env), verbose, 0
        if not is_whole(train_freq) or train_freq < 1:
            raise ConfigError(f"train_freq must be a whole number of steps from 1, got {train_freq!r}")
        self.train_freq, self.gradient_steps = train_freq, int(gradient_steps)
        self.seed = setting("seed", 0 if seed is None else seed, Seed)
        config = change(
            LearnerConfig(),
            layer_norm=False,
            normalize_obs=False,
            log_std_min=-20.0,
            log_std_map="clip",
            policy_lr=learning_rate,
            critic_lr=learning_rate,
            temperature_lr=learning_rate,
            learning_starts=learning_starts,
            batch_size=batch_size,
            tau=tau,
            gamma=gamma,
            auto_temperature=isinstance(ent_coef, str),
            temperature=_temperature(ent_coef),
            target_entropy=None if target_entropy == "auto" else float(target_entropy),
            **_architecture(policy_kwargs or {}),
        )
        self.low, self.high = _bounds(self.env)
        capacity = setting("buffer_size", buffer_size, Annotated[int, Within(config.sampling.batch_size, 2**30)])
        self.learner = Learner(
            config, self.env.observation_space, len(self.low), replay_capacity=capacity, seed=self.seed
        )
        self._obs: PyTree = None
        self._return = 0.0

    def learn(
        self,
        total_timesteps: int,
        callback: Callback | None = None,
        log_interval: int = 4,
        *,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> "SAC":
        """Steps the environment and learns, `train_freq` steps at a time.

        Args: `log_interval`: episodes between lines, with `verbose`; `progress_bar`: prints these lines too.
        Returns: itself.
        """
        self.num_timesteps = 0 if reset_num_timesteps else self.num_timesteps
        goal, episodes = self.num_timesteps + total_timesteps, 0
        while self.num_timesteps < goal:
            for _ in range(self.train_freq):
                ended = self._step()
                if ended is not None:
                    episodes += 1
                    if (self.verbose or progress_bar) and episodes % log_interval == 0:
                        print(f"{self.num_timesteps:>9,} steps  episode return {ended:.1f}")
                if callback is not None and callback({"self": self, **locals()}, globals()) is False:
                    return self
            updates = self.train_freq if self.gradient_steps < 0 else self.gradient_steps
            if updates:
                self.learner.step(updates)
        return self

    def predict(
        self, observation: PyTree, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """Actions in the environment's bounds for one observation or a batch, and `state` as it came in."""
        return self._scaled(self.learner.act(observation, deterministic=deterministic)), state

    def save(self, path: str | Path) -> None:
        """Saves everything, replay included, into the directory `path`.

        Raises: CheckpointError: the disk refused. ConfigError: another model is there.
        """
        names = ("num_timesteps", "train_freq", "gradient_steps", "verbose", "seed")
        saved = {name: getattr(self, name) for name in names} | {"low": self.low.tolist(), "high": self.high.tolist()}
        self.learner.save_copy(path, {"sb3": saved})

    @classmethod
    def load(cls, path: str | Path, env: Any = None) -> "SAC":
        """The model that `save` wrote. Args: `env`: to learn on in.

        Raises: CheckpointError: there is none, or it is damaged.
        """
        model = cls.__new__(cls)
        model.learner = Learner.load(path)
        model.learner.close()  # in memory from here on, as Stable-Baselines3's
        saved = model.learner.extra.get("sb3")
        if saved is None:
            raise ConfigError(f"{path} holds a learner, but not a model saved by softrl.compat.sb3")
        for name, value in saved.items():
            setattr(model, name, np.float32(value) if name in ("low", "high") else value)
        model.env, model._obs, model._return = None, None, 0.0
        if env is not None:
            model.set_env(env)
        return model

    def set_env(self, env: Any) -> None:
        """Learns on in another environment, from a fresh episode.

        Raises: ConfigError: other observations or actions than this model's.
        """
        env = _environment(env)
        pairs = [("observations", self.learner.spec.obs, spec_of(env.observation_space, len(self.low)).obs)]
        low, high = _bounds(env)
        pairs += [("low", self.low.tolist(), low.tolist()), ("high", self.high.tolist(), high.tolist())]
        for what, mine, its in pairs:
            if mine != its:
                raise ConfigError(f"{what} of this model are {mine}, of env {its}: give one with the same spaces")
        self.env, self._obs, self._return = env, None, 0.0

    def get_env(self) -> Any:
        """The environment."""
        return self.env

    def _step(self) -> float | None:
        """One step. Returns: the return of the episode that it ended."""
        if self.env is None:
            raise ConfigError("this model has no environment: give `load` or `set_env` one")
        if self._obs is None:
            self._obs, _ = self.env.reset(seed=self.seed if self.num_timesteps == 0 else None)
        action = self.learner.act(self._obs)
        new, reward, terminated, truncated, _ = self.env.step(self._scaled(action))
        row = {"obs": self._obs, "action": action, "reward": np.float64(reward), "next_obs": new}
        self.learner.add(jax.tree.map(lambda x: np.asarray(x)[None], row | {"terminated": bool(terminated)}))
        self.num_timesteps += 1
        self._obs, self._return = new, self._return + float(reward)
        if not (terminated or truncated):
            return None
        total = self._return
        self._obs, self._return = self.env.reset()[0], 0.0
        return total

    def _scaled(self, action: np.ndarray) -> np.ndarray:
        scaled = boxes.scaled(self.low, self.high, action)
        return scaled if self.env is None else scaled.reshape(*action.shape[:-1], *self.env.action_space.shape)


def _bounds(env: Any) -> tuple[np.ndarray, np.ndarray]:
    action = boxes.acted("env", env.action_space)
    if not isinstance(action, Continuous):
        raise ConfigError(f"env: soft actor-critic learns continuous actions, got {env.action_space}")
    return np.float32(action.low), np.float32(action.high)


def _environment(env: Any) -> Any:
    if isinstance(env, str):
        return library().make(env)
    if env is None or hasattr(env, "num_envs") or not hasattr(env, "observation_space"):
        raise ConfigError(f"env must be a Gymnasium id or one Gymnasium environment, got {env!r}")
    return env


def _temperature(ent_coef: str | float) -> float:
    if not isinstance(ent_coef, str):
        return float(ent_coef)
    name, _, first = ent_coef.partition("_")
    if name != "auto":
        raise ConfigError(f"ent_coef must be auto, auto_<first value> or a number, got {ent_coef!r}")
    return float(first) if first else 1.0


def _architecture(policy_kwargs: dict[str, Any]) -> dict[str, int]:
    unknown = [name for name in policy_kwargs if name != "net_arch"]
    layers = policy_kwargs.get("net_arch", [256, 256])
    if unknown or not isinstance(layers, list) or len(set(layers)) > 1:
        raise ConfigError(f"policy_kwargs may hold net_arch, a list of equal widths; got {policy_kwargs!r}")
    return {"depth": len(layers), "width": layers[0] if layers else 256}
