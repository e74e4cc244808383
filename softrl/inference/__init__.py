"""Exact control as inference: what Levine (2018), arXiv:1805.00909, leaves to approximation, where it need not."""

from softrl.inference.average import OptimisticAverage, optimistic_average
from softrl.inference.belief import POMDP, BeliefSolution, belief_update, solve_pomdp
from softrl.inference.composition import CompositionBound, composition_bound, worst_case_reward
from softrl.inference.expectation_maximisation import EStep, em_policy_step, mpo_e_step, reps_dual, rwr_weights
from softrl.inference.gumbel import gumbel_loss, gumbel_regression
from softrl.inference.ilqr import ILQRSolution, iterative_lqr
from softrl.inference.infinite_horizon import (
    PolicyValues,
    SoftValues,
    soft_policy_evaluation,
    soft_policy_iteration,
    soft_value_iteration,
)
from softrl.inference.inverse_rl import InverseRL, empirical_visitation, feature_expectations, maxent_irl
from softrl.inference.linear_quadratic import LinearQuadratic, LQRMarginals, LQRSolution, lqr_marginals, solve_lqr
from softrl.inference.linearly_solvable import AverageCost, FirstExit, lmdp_average, lmdp_first_exit
from softrl.inference.mdp import TabularMDP, validate, with_absorbing_discount
from softrl.inference.messages import ForwardMessages, Messages, backward_messages, forward_messages
from softrl.inference.objective import StructuredPosterior, elbo, optimism_gap, structured_posterior, trajectory_kl
from softrl.inference.path_integral import MPPIInfo, free_energy, mppi_plan, mppi_update
from softrl.inference.posterior import Posterior, posterior, sample_posterior, visitation
from softrl.inference.projection import Gaussian, information_projection, moment_projection

__all__ = [
    "POMDP",
    "AverageCost",
    "BeliefSolution",
    "CompositionBound",
    "EStep",
    "FirstExit",
    "ForwardMessages",
    "Gaussian",
    "ILQRSolution",
    "InverseRL",
    "LQRMarginals",
    "LQRSolution",
    "LinearQuadratic",
    "MPPIInfo",
    "Messages",
    "OptimisticAverage",
    "PolicyValues",
    "Posterior",
    "SoftValues",
    "StructuredPosterior",
    "TabularMDP",
    "backward_messages",
    "belief_update",
    "composition_bound",
    "elbo",
    "em_policy_step",
    "empirical_visitation",
    "feature_expectations",
    "forward_messages",
    "free_energy",
    "gumbel_loss",
    "gumbel_regression",
    "information_projection",
    "iterative_lqr",
    "lmdp_average",
    "lmdp_first_exit",
    "lqr_marginals",
    "maxent_irl",
    "moment_projection",
    "mpo_e_step",
    "mppi_plan",
    "mppi_update",
    "optimism_gap",
    "optimistic_average",
    "posterior",
    "reps_dual",
    "rwr_weights",
    "sample_posterior",
    "soft_policy_evaluation",
    "soft_policy_iteration",
    "soft_value_iteration",
    "solve_lqr",
    "solve_pomdp",
    "structured_posterior",
    "trajectory_kl",
    "validate",
    "visitation",
    "with_absorbing_discount",
    "worst_case_reward",
]
