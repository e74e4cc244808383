"""Approximate messages: the losses of deep soft actor-critic, one equation a function."""

from softrl.losses.critic import critic
from softrl.losses.policy import policy
from softrl.losses.temperature import temperature
from softrl.losses.value import value

__all__ = ["critic", "policy", "temperature", "value"]
