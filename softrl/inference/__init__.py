"""Exact control as inference: Levine (2018), arXiv:1805.00909, sections 2, 3 and 5, where they can be solved exactly."""

from softrl.inference.mdp import TabularMDP, validate, with_absorbing_discount
from softrl.inference.messages import ForwardMessages, Messages, backward_messages, forward_messages
from softrl.inference.objective import StructuredPosterior, elbo, optimism_gap, structured_posterior, trajectory_kl
from softrl.inference.posterior import Posterior, posterior, sample_posterior, visitation
