"""Exact control as inference: what Levine (2018), arXiv:1805.00909, leaves to approximation, where it need not."""

from softrl.inference.average import OptimisticAverage, optimistic_average
from softrl.inference.ilqr import ILQRSolution, iterative_lqr
from softrl.inference.infinite_horizon import (
    PolicyValues,
    SoftValues,
    soft_policy_evaluation,
    soft_policy_iteration,
    soft_value_iteration,
)
from softrl.inference.linear_quadratic import LinearQuadratic, LQRMarginals, LQRSolution, lqr_marginals, solve_lqr
from softrl.inference.linearly_solvable import AverageCost, FirstExit, lmdp_average, lmdp_first_exit
from softrl.inference.mdp import TabularMDP, validate, with_absorbing_discount
from softrl.inference.messages import ForwardMessages, Messages, backward_messages, forward_messages
from softrl.inference.objective import StructuredPosterior, elbo, optimism_gap, structured_posterior, trajectory_kl
from softrl.inference.path_integral import MPPIInfo, free_energy, mppi_plan, mppi_update
from softrl.inference.posterior import Posterior, posterior, sample_posterior, visitation

__all__ = [
    "AverageCost",
    "FirstExit",
    "ForwardMessages",
    "ILQRSolution",
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
    "elbo",
    "forward_messages",
    "free_energy",
    "iterative_lqr",
    "lmdp_average",
    "lmdp_first_exit",
    "lqr_marginals",
    "mppi_plan",
    "mppi_update",
    "optimism_gap",
    "optimistic_average",
    "posterior",
    "sample_posterior",
    "soft_policy_evaluation",
    "soft_policy_iteration",
    "soft_value_iteration",
    "solve_lqr",
    "structured_posterior",
    "trajectory_kl",
    "validate",
    "visitation",
    "with_absorbing_discount",
]
