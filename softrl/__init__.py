"""softrl: control as inference, compiled.

    import softrl
    run = softrl.train(softrl.preset("brax/halfcheetah", gamma=0.98), out="runs/cheetah")
    action = run.policy(obs)

Names are imported when first used, so that `import softrl` costs nothing and imports no physics.
"""

import importlib

__version__ = "0.1.0"

_HOME = {
    "train": "softrl.run",
    "load": "softrl.run",
    "Run": "softrl.run",
    "preset": "softrl.presets",
    "Config": "softrl.training.config",
    "TrainingConfig": "softrl.training.config",
    "EnvConfig": "softrl.envs",
    "SACConfig": "softrl.agents",
    "SACHypers": "softrl.agents",
    "change": "softrl.config",
    "make_env": "softrl.envs",
    "register": "softrl.envs",
    "sac": "softrl.agents",
    "resolve": "softrl.agents",
    "spec_of": "softrl.agents.spaces",
    "ReplayHypers": "softrl.replay",
    "time_major": "softrl.replay",
    "flat": "softrl.replay",
    "mixed": "softrl.replay",
    "Program": "softrl.training",
    "RunState": "softrl.training",
    "LearnerState": "softrl.training",
    "init_run": "softrl.training",
    "init_learner": "softrl.training",
    "collect": "softrl.training",
    "learn": "softrl.training",
    "chunk": "softrl.training",
    "evaluate": "softrl.training",
    "Learner": "softrl.learner",
    "LearnerConfig": "softrl.learner",
    "PublishedPolicy": "softrl.learner",
    "Agent": "softrl.types",
    "Algorithm": "softrl.types",
    "Continuous": "softrl.types",
    "Discrete": "softrl.types",
    "Feedback": "softrl.types",
    "Hypers": "softrl.types",
    "Batch": "softrl.types",
    "Env": "softrl.types",
    "EnvSpec": "softrl.types",
    "Network": "softrl.types",
    "Replay": "softrl.types",
    "Simulator": "softrl.types",
    "Spec": "softrl.types",
    "Transition": "softrl.types",
    "SoftRLError": "softrl.errors",
    "BatchError": "softrl.errors",
    "ConfigError": "softrl.errors",
    "CheckpointError": "softrl.errors",
    "DivergedError": "softrl.errors",
}

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
