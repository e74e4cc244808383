"""Exact control as inference: what Levine (2018), arXiv:1805.00909, leaves to approximation, where it need not.

Names are imported when they are first used.
"""

from softrl.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        ".average": ("OptimisticAverage", "optimistic_average"),
        ".belief": ("POMDP", "BeliefSolution", "belief_update", "solve_pomdp"),
        ".composition": ("CompositionBound", "composition_bound", "worst_case_reward"),
        ".expectation_maximisation": ("EStep", "em_policy_step", "mpo_e_step", "reps_dual", "rwr_weights"),
        ".gumbel": ("gumbel_loss", "gumbel_regression"),
        ".ilqr": ("ILQRSolution", "iterative_lqr"),
        ".infinite_horizon": (
            "PolicyValues",
            "SoftValues",
            "soft_policy_evaluation",
            "soft_policy_iteration",
            "soft_value_iteration",
        ),
        ".inverse_rl": ("InverseRL", "empirical_visitation", "feature_expectations", "maxent_irl"),
        ".linear_quadratic": ("LinearQuadratic", "LQRMarginals", "LQRSolution", "lqr_marginals", "solve_lqr"),
        ".linearly_solvable": ("AverageCost", "FirstExit", "lmdp_average", "lmdp_first_exit"),
        ".mdp": ("TabularMDP", "validate", "with_absorbing_discount"),
        ".messages": ("ForwardMessages", "Messages", "backward_messages", "forward_messages"),
        ".objective": ("StructuredPosterior", "elbo", "optimism_gap", "structured_posterior", "trajectory_kl"),
        ".path_integral": ("MPPIInfo", "free_energy", "mppi_plan", "mppi_update"),
        ".trajectory_posterior": ("Posterior", "posterior", "sample_posterior", "visitation"),
        ".projection": ("Gaussian", "information_projection", "moment_projection"),
    },
)
