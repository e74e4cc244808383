"""Evaluation returns of a softrl training run as `softrl train` runs it, with checkpoints, told as they come."""

import jax

import softrl
from benchmarks import protocol


def main() -> None:
    """Trains on `env` by its preset with `changes`, into the directory `out`."""
    settings = protocol.settings()
    config = softrl.preset(settings["env"], algorithm=settings.get("algorithm", "sac"), **settings["changes"])
    packages = ("softrl", "jax", "jaxlib", "flax", "optax", "brax", "mujoco", "mujoco-mjx")
    protocol.send(
        {
            "event": "about",
            "versions": protocol.versions(*packages),
            "device": jax.local_devices()[0].device_kind,
            "config": softrl.config.to_json(config),
        }
    )

    def tell(steps: int, record: dict) -> None:
        protocol.send(
            {
                "event": "evaluation",
                "env_steps": steps,
                "return": record["eval"]["return_mean"][0],
                "stochastic_return": record["eval"]["stochastic_return_mean"][0],
                "compile_s": record["timing"]["compile_s"],
            }
        )

    softrl.train(config, out=settings["out"], progress_fn=tell, progress=False)


if __name__ == "__main__":
    main()
