"""Evaluation returns of Brax's own SAC as it trains, told as they come."""

from benchmarks import protocol
from benchmarks.workers import brax_parts as parts


def main() -> None:
    """Trains for `steps` environment steps with `evaluations` of 128 episodes, as Brax has them by default."""
    settings = protocol.settings()
    protocol.send({"event": "about", **parts.about()})

    def tell(steps: int, metrics: dict) -> None:
        protocol.send(
            {
                "event": "evaluation",
                "env_steps": int(steps),
                "return": float(metrics["eval/episode_reward"]),
                "evaluating_s": float(metrics["eval/walltime"]),
            }
        )

    parts.trainer(settings, seed=settings["seed"])(
        num_timesteps=settings["steps"], num_evals=settings["evaluations"] + 1, progress_fn=tell
    )


if __name__ == "__main__":
    main()
