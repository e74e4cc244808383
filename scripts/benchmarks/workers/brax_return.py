"""Evaluation returns of Brax's own SAC as it trains, told as they come."""

from benchmarks import protocol
from benchmarks.workers import brax_parts as parts

ENDLESS = 10_000
"""Evaluations; the benchmark hangs up long before."""


def main() -> None:
    """Trains, with an evaluation of Brax's 128 episodes after every `every` environment steps."""
    wishes = protocol.settings()
    settings = wishes["settings"]
    envs = settings["num_envs"]
    explored = -(-settings.get("min_replay_size", 0) // envs) * envs
    protocol.send({"event": "about", **parts.about(), "config": settings})

    def tell(steps: int, metrics: dict) -> None:
        learnt_from = max(int(steps) - explored, 0) // envs
        protocol.send(
            {
                "event": "evaluation",
                "env_steps": int(steps),
                "updates": learnt_from * settings["grad_updates_per_step"],
                "return": float(metrics["eval/episode_reward"]),
                "evaluated_s": float(metrics["eval/walltime"]),
            }
        )

    parts.trainer(wishes["robot"], wishes["backend"], **settings)(
        num_timesteps=explored + wishes["every"] * ENDLESS,
        num_evals=ENDLESS + 1,
        deterministic_eval=wishes["deterministic_eval"],
        progress_fn=tell,
    )


if __name__ == "__main__":
    main()
