"""Trained policies that ship with softrl, each with a card that says where it comes from.

    policy = softrl.zoo.load("gym/HalfCheetah-v5")   # a NumpyPolicy: NumPy and safetensors, no JAX
    action = policy(obs)

`softrl.load("zoo/gym/HalfCheetah-v5")` opens the same policy as a `Run`, to evaluate, film and export it.
"""

from softrl.zoo.cards import PREFIX, Card, card, load, names, refuse, shipped

__all__ = ["PREFIX", "Card", "card", "load", "names", "refuse", "shipped"]
