"""softrl: control as inference, compiled.

    import softrl
    run = softrl.train(softrl.preset("brax/halfcheetah", gamma=0.98), out="runs/cheetah")
    action = run.policy(obs)

Names are imported when first used, so that `import softrl` costs nothing and imports no physics.
"""

import importlib

from softrl.lazy import exported

__version__ = "0.1.0"

_PUBLIC = {
    "softrl.agents.registry": ("SACConfig", "SACHypers", "sac", "resolve"),
    "softrl.agents.spaces": ("spec_of",),
    "softrl.algorithm": ("Agent", "Algorithm", "Feedback"),
    "softrl.config": ("change",),
    "softrl.envs": ("EnvConfig", "make_env", "register"),
    "softrl.errors": ("SoftRLError", "BatchError", "ConfigError", "CheckpointError", "DivergedError"),
    "softrl.learner": ("Learner", "LearnerConfig", "PublishedPolicy"),
    "softrl.presets": ("preset",),
    "softrl.replay": ("ReplayHypers", "time_major", "flat", "mixed"),
    "softrl.run": ("train", "load", "Run"),
    "softrl.training.chunk": ("chunk",),
    "softrl.training.collect": ("collect",),
    "softrl.training.config": ("Config", "TrainingConfig"),
    "softrl.training.evaluate": ("evaluate",),
    "softrl.training.learn": ("learn",),
    "softrl.envs.rewarded": ("rewarded",),
    "softrl.training.state": ("Program", "RunState", "LearnerState", "init_run", "init_learner"),
    "softrl.types": (
        "Batch",
        "Continuous",
        "Discrete",
        "Env",
        "EnvSpec",
        "Hypers",
        "Network",
        "Replay",
        "Simulator",
        "Spec",
        "Transition",
    ),
}
"""What `softrl` offers, by the module that it is in."""

_get, _names = exported("softrl", _PUBLIC)
__all__ = ["__version__", *_names]

_PACKAGES = ("inference", "sweep", "zoo")
"""Packages that are used by their own name: `softrl.sweep.run`."""


def __getattr__(name: str):
    return importlib.import_module(f"softrl.{name}") if name in _PACKAGES else _get(name)


def __dir__() -> list[str]:
    return sorted(__all__)
