"""The learner behind plain calls on the host, for other people's actor loops."""

from softrl.experience.adapters import ADAPTERS, adapted
from softrl.learner.config import LearnerConfig, SamplingConfig
from softrl.learner.learner import Learner, PublishedPolicy

__all__ = ["ADAPTERS", "Learner", "LearnerConfig", "PublishedPolicy", "SamplingConfig", "adapted"]
