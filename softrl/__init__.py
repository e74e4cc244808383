"""softrl: control as inference, compiled.

    import softrl
    run = softrl.train(softrl.preset("brax/halfcheetah", gamma=0.98), out="runs/cheetah")
    action = run.policy(obs)

Names are imported when first used, so that `import softrl` costs nothing and imports no physics.
"""

import importlib

__version__ = "0.1.0"

_PUBLIC = {
    "softrl.agents": ("SACConfig", "SACHypers", "sac", "resolve"),
    "softrl.agents.spaces": ("spec_of",),
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
    "softrl.training.state": ("Program", "RunState", "LearnerState", "init_run", "init_learner"),
    "softrl.types": (
        "Agent",
        "Algorithm",
        "Batch",
        "Continuous",
        "Discrete",
        "Env",
        "EnvSpec",
        "Feedback",
        "Hypers",
        "Network",
        "Replay",
        "Simulator",
        "Spec",
        "Transition",
    ),
}
"""What `softrl` offers, by the module that it is in."""

_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = ["__version__", *_HOME]

_PACKAGES = ("inference", "sweep")
"""Packages that are used by their own name: `softrl.sweep.run`."""


def __getattr__(name: str):
    if name in _PACKAGES:
        return importlib.import_module(f"softrl.{name}")
    if name not in _HOME:
        from softrl.errors import suggestion

        raise AttributeError(f"module 'softrl' has no attribute {name!r}{suggestion(name, _HOME)}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
