"""Exact control as inference: what Levine (2018), arXiv:1805.00909, leaves to approximation, where it need not.

Names are imported when they are first used.
"""

from softrl.lazy import exported

__getattr__, __all__ = exported(
    __name__,
    {
        "softrl.inference.average": ("OptimisticAverage", "optimistic_average"),
        "softrl.inference.belief": ("POMDP", "BeliefSolution", "belief_update", "solve_pomdp"),
        "softrl.inference.composition": ("CompositionBound", "composition_bound", "worst_case_reward"),
        "softrl.inference.expectation_maximisation": (
            "EStep",
            "em_policy_step",
            "mpo_e_step",
            "reps_dual",
            "rwr_weights",
        ),
        "softrl.inference.gumbel": ("gumbel_loss", "gumbel_regression"),
        "softrl.inference.ilqr": ("ILQRSolution", "iterative_lqr"),
        "softrl.inference.infinite_horizon": (
            "PolicyValues",
            "SoftValues",
            "soft_policy_evaluation",
            "soft_policy_iteration",
            "soft_value_iteration",
        ),
        "softrl.inference.inverse_rl": ("InverseRL", "empirical_visitation", "feature_expectations", "maxent_irl"),
        "softrl.inference.linear_quadratic": (
            "LinearQuadratic",
            "LQRMarginals",
            "LQRSolution",
            "lqr_marginals",
            "solve_lqr",
        ),
        "softrl.inference.linearly_solvable": ("AverageCost", "FirstExit", "lmdp_average", "lmdp_first_exit"),
        "softrl.inference.mdp": ("TabularMDP", "validate", "with_absorbing_discount"),
        "softrl.inference.messages": ("ForwardMessages", "Messages", "backward_messages", "forward_messages"),
        "softrl.inference.objective": (
            "StructuredPosterior",
            "elbo",
            "optimism_gap",
            "structured_posterior",
            "trajectory_kl",
        ),
        "softrl.inference.path_integral": ("MPPIInfo", "free_energy", "mppi_plan", "mppi_update"),
        "softrl.inference.trajectory_posterior": ("Posterior", "posterior", "sample_posterior", "visitation"),
        "softrl.inference.projection": ("Gaussian", "information_projection", "moment_projection"),
    },
)
