"""A run whose environments are on the host: the same session, checkpoints and metrics, another `chunk`.

The device learns while the host acts and steps.
"""

import time
from functools import partial
from typing import Any

from softrl.training.assemble import Assembled
from softrl.training.evaluate import Evaluation
from softrl.training.hosted.evaluate import EVALUATION_SEED, evaluate
from softrl.training.hosted.loop import chunk, compile_hosted, on_host, started
from softrl.training.hosted.member import joined, single
from softrl.training.hosted.start import abstract_state
from softrl.types import PyTree

__all__ = ["EVALUATION_SEED", "abstract_state", "chunk", "compile_hosted", "evaluate", "programs_parts", "started"]


def programs_parts(assembled: Assembled, hypers: PyTree) -> dict[str, Any]:
    """What `softrl.training.programs.Programs` holds of a hosted run: start, chunk, evaluate, abstract, seconds."""
    begun = time.perf_counter()
    hosted = compile_hosted(assembled, hypers)
    policy = assembled.program.agent.policy

    def look(agents: PyTree) -> Evaluation:
        return joined(evaluate(assembled.evaluation, hosted.act, on_host(single(policy(agents)))))

    return {
        "start": partial(started, hosted),
        "chunk": partial(chunk, hosted),
        "evaluate": look,
        "abstract": abstract_state(assembled),
        "seconds": time.perf_counter() - begun,
    }
