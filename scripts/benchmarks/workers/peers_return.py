"""Evaluation returns of SBX's or Stable-Baselines3's learner on a Gymnasium environment, told as they come.

One environment, one update a step, everything by the library's own defaults but what the settings say. `evaluated_s`
are the seconds that evaluations took so far. It trains until the benchmark hangs up.
"""

import importlib
import time

import gymnasium
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from benchmarks import protocol

PACKAGES = {
    "sbx": ("sbx-rl", "stable-baselines3", "jax", "jaxlib", "flax", "optax", "gymnasium", "mujoco", "numpy"),
    "stable_baselines3": ("stable-baselines3", "torch", "gymnasium", "mujoco", "numpy"),
}
WISHED = ("algorithm", "policy", "normalize_obs", "policy_kwargs", "learning_starts")
TOLD = ("learning_starts", "batch_size", "buffer_size", "gamma", "tau", "learning_rate", "policy_delay")
"""What is told of the settings, and of the model, where they have it."""


def made(settings: dict) -> BaseAlgorithm:
    """The model; refuses where the library has no such algorithm or policy."""
    library, name, policy = settings["library"], settings["algorithm"], settings.get("policy", "MlpPolicy")
    kind = getattr(importlib.import_module(library), name, None)
    have = f"{library} {protocol.versions(PACKAGES[library][0])[PACKAGES[library][0]]}"
    if kind is None:
        protocol.refuse(f"{have} has no {name}")
    if policy not in kind.policy_aliases:
        protocol.refuse(f"{name} of {have} has no {policy}; it has {', '.join(kind.policy_aliases)}")
    seed = settings["changes"]["seed"]
    env = make_vec_env(settings["env"].removeprefix("gym/"), 1, seed=seed)
    if settings.get("normalize_obs"):
        env = VecNormalize(env, norm_reward=False)
    own = {name: settings[name] for name in ("policy_kwargs", "learning_starts") if name in settings}
    return kind(policy, env, seed=seed, **own)


def device(library: str) -> str:
    """The kind of device that the library's models are on by default."""
    if library == "sbx":
        return importlib.import_module("jax").devices()[0].device_kind
    cuda = importlib.import_module("torch").cuda
    return cuda.get_device_name() if cuda.is_available() else "cpu"


def evaluated(model: BaseAlgorithm, env: gymnasium.Env, starts: list[int]) -> float:
    """Mean undiscounted return of the policy's mode over an episode from each start, an environment's seed."""
    scaled, total = model.get_vec_normalize_env(), 0.0
    for start in starts:
        (obs, _), over = env.reset(seed=start), False
        while not over:
            seen = obs if scaled is None else scaled.normalize_obs(obs)
            action, _ = model.predict(seen, deterministic=True)
            obs, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
    return total / len(starts)


def main() -> None:
    """Evaluates on `starts`, trains `eval_every` steps, and so on."""
    settings = protocol.settings()
    model, env = made(settings), gymnasium.make(settings["env"].removeprefix("gym/"))
    own = {name: settings[name] for name in WISHED if name in settings}
    config = own | {name: getattr(model, name) for name in TOLD if hasattr(model, name)}
    versions = protocol.versions(*PACKAGES[settings["library"]])
    protocol.send({"event": "about", "versions": versions, "device": device(settings["library"]), "config": config})
    seconds = 0.0
    while True:
        begun = time.perf_counter()
        mean = evaluated(model, env, settings["starts"])
        seconds += time.perf_counter() - begun
        counts = {"env_steps": model.num_timesteps, "updates": model._n_updates}
        protocol.send({"event": "evaluation", **counts, "return": mean, "evaluated_s": seconds})
        model.learn(settings["changes"]["eval_every"], reset_num_timesteps=False)


if __name__ == "__main__":
    main()
