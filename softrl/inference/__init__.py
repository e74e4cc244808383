"""Exact control as inference: what Levine (2018), arXiv:1805.00909, leaves to approximation, where it need not."""

from softrl.inference.mdp import TabularMDP, validate, with_absorbing_discount
from softrl.inference.messages import ForwardMessages, Messages, backward_messages, forward_messages
from softrl.inference.objective import StructuredPosterior, elbo, optimism_gap, structured_posterior, trajectory_kl
from softrl.inference.posterior import Posterior, posterior, sample_posterior, visitation

__all__ = [
    "ForwardMessages",
    "Messages",
    "Posterior",
    "StructuredPosterior",
    "TabularMDP",
    "backward_messages",
    "elbo",
    "forward_messages",
    "optimism_gap",
    "posterior",
    "sample_posterior",
    "structured_posterior",
    "trajectory_kl",
    "validate",
    "visitation",
    "with_absorbing_discount",
]
