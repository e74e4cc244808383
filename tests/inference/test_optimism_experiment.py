"""The published figure's numbers are what the code computes, and its story is true."""

import importlib.util
import json
from pathlib import Path

import jax
import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "optimism"


def load():
    spec = importlib.util.spec_from_file_location("optimism_run", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_published_numbers_are_those_of_the_code_and_of_the_caption():
    run = load()
    published = json.loads((FOLDER / "optimism.json").read_text())
    solution = jax.jit(lambda temperature: run.solve(run.gridworld(), temperature))(run.SHOWN_TEMPERATURE)
    ours, theirs = run.named(solution), published["at_shown_temperature"]
    for name in ("log_evidence", "best_bound", "gap"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9)
    said = lambda x: f"{x:.1f}".replace("-", "−")
    for page in (FOLDER / "README.md", FOLDER.parents[1] / "docs" / "inference.md"):
        caption = page.read_text()
        for who in ("believed", "executed", "variational"):
            np.testing.assert_allclose(ours[who]["expected"], theirs[who]["expected"], rtol=1e-9)
            assert said(theirs[who]["expected"]) in caption
        for name in ("log_evidence", "best_bound"):
            assert said(theirs[name]) in caption
        assert f"{100 * theirs['executed']['fall']:.1f} %" in caption
        assert f"{theirs['gap']:.1f} nats" in caption
    front = (FOLDER.parents[1] / "README.md").read_text()
    assert all(said(theirs[who]["expected"]) in front for who in ("believed", "executed", "variational"))
    assert ours["variational"]["expected"] > ours["executed"]["expected"] + 20


def test_the_deep_learners_numbers_are_those_of_their_caption_and_their_story_is_true():
    published, caption = json.loads((FOLDER / "deep.json").read_text()), (FOLDER / "README.md").read_text()
    for backup in ("optimistic", "variational"):
        everybody = [published[backup]["exact"], *published[backup]["deep"]]
        digits = 1 if backup == "optimistic" else 2
        falls = [f"{100 * outcome['fall']:.{digits}f} %" for outcome in everybody]
        earns = [f"{outcome['expected']:.1f}".replace("-", "−") for outcome in everybody]
        row = f"| {falls[0]} | {', '.join(falls[1:])} | {earns[0]} | {', '.join(earns[1:])} |"
        assert f"| {backup} {row}" in caption
    assert min(outcome["fall"] for outcome in published["optimistic"]["deep"]) > 0.8
    assert max(outcome["fall"] for outcome in published["variational"]["deep"]) < 0.001
