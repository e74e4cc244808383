"""`SAC` in the manner of Stable-Baselines3, for Gymnasium's environments, one or several.

    from softrl.compat.sb3 import SAC          # was: from stable_baselines3 import SAC
    model = SAC("MlpPolicy", "Pendulum-v1", verbose=1).learn(20_000)
    action, _ = model.predict(obs, deterministic=True)

The defaults are Stable-Baselines3's, whose callbacks, loggers and vector environments are taken by their shape: it
need not be installed. `softrl train gym/…` is faster: it learns while the simulator steps.
"""

from softrl.compat.sb3.evaluation import evaluate_policy
from softrl.compat.sb3.model import SAC

__all__ = ["SAC", "evaluate_policy"]
