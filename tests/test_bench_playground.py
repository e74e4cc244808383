"""scripts/bench playground and resets: a file a robot, nothing measured twice, failures as rows, tables from files."""

import argparse
import json
import sys
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from benchmarks import playground, resets
from benchmarks.workers import softrl_playground, softrl_resets
from benchmarks.workers.softrl_playground import Told

from softrl.envs import playground as robots
from softrl.envs.episodes import episodes
from tests.envs.test_reset_bank import walker

ROOT = Path(__file__).resolve().parents[1]


def options(module, out: Path, *words: str) -> argparse.Namespace:
    """Of a subcommand that keeps its files in `out`."""
    parser = argparse.ArgumentParser()
    module.arguments(parser)
    parsed = parser.parse_args(["--results", str(out / "results"), *words])
    parsed.out, parsed.logs = out, out / "logs"
    parsed.logs.mkdir(exist_ok=True)
    return parsed


@pytest.fixture
def measure(monkeypatch, tmp_path, user_environment):
    """Runs `playground` on a robot that needs no library and on one that there is not: (words) -> result."""
    fakes = {"Probe": "probe/bounded-lq", "Nobody": "probe/nobody"}
    monkeypatch.setattr(playground, "robots", lambda: fakes)
    monkeypatch.setattr(playground, "require_library", lambda: None)
    monkeypatch.setenv("XLA_FLAGS", user_environment["XLA_FLAGS"])
    monkeypatch.delenv("JAX_NUMPY_RANK_PROMOTION", raising=False)
    small = ("--num-envs", "16", "--repetitions", "2")
    return lambda *words: playground.run(options(playground, tmp_path, *small, *words))


@pytest.mark.slow
def test_robots_are_measured_in_processes_of_their_own_and_what_fails_is_a_row(measure, tmp_path, capsys):
    result = measure()
    good, bad = result["robots"]
    assert list(good["stages"]) == ["import", "load", "trace", "lower", "compile", "run"] and "failed" not in good
    assert all(stage["took_s"] > 0.0 and stage["peak_mib"] > 0.0 for stage in good["stages"].values())
    assert good["stages"]["run"]["steps_per_s"] > 0.0 and good["stages"]["run"]["cut"] > 0
    assert playground.unsound(good) == []
    assert bad["failed"].startswith("load: ConfigError: unknown environment 'probe/nobody'")
    assert list(bad["stages"]) == ["import"]
    said = capsys.readouterr().out
    assert "what robots cost" in said and bad["failed"][:60] in said
    assert [bar["met"] for bar in result["bars"]] == [False, True], "one of two loads and traces; none is unsound"
    assert (tmp_path / "results" / "Probe.json").stat().st_size < 10_000


def test_a_robot_whose_file_has_what_is_asked_for_is_not_run_again(measure, monkeypatch):
    ran = []

    def stream(environment, module, wishes, log, extra, limit):
        ran.append((wishes["env"], wishes["stages"][-1]))
        if wishes["env"] == "probe/nobody":
            raise RuntimeError(f"it crashed (exit code -9); the end of {log}:\nfirst\nno memory")
        yield from ({"stage": name, "took_s": 1.0, "peak_mib": 1.0, "seconds": 1.0} for name in ("import", "load"))

    monkeypatch.setattr(playground.protocol, "stream", stream)
    result = measure("--trace-only", "--limit", "7")
    assert ran == [("probe/bounded-lq", "trace"), ("probe/nobody", "trace")]
    assert [record["failed"] for record in result["robots"]] == [
        "trace: no end within 7 s",
        "import: it crashed (exit code -9): no memory",
    ]
    ran.clear()
    measure("--trace-only")
    measure("--table")
    assert not ran, "a robot that failed is not tried again by itself"
    measure("--only", "Probe")
    assert ran == [("probe/bounded-lq", "run")], "a whole run is more than a trace"
    ran.clear()
    measure("--trace-only")
    assert not ran, "a whole run has a trace in it"
    with pytest.raises(RuntimeError, match="no robot Prob; robots: Probe, Nobody"):
        measure("--only", "Prob")


def test_without_the_library_one_line_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(playground.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="SOFTRL_EXTRAS=playground scripts/bench playground") as error:
        playground.run(options(playground, tmp_path, "--trace-only"))
    assert "\n" not in str(error.value)


def told(rows: int, **ends: list[tuple[int, int]]) -> Told:
    """Of two environments, `rows` steps, with these ends, as a sound environment tells them."""
    kinds = {name: np.zeros((rows, 2), bool) for name in ("terminated", "truncated", "spoiled")}
    for name, places in ends.items():
        for t, n in places:
            kinds[name][t, n] = True
    spoiled = kinds.pop("spoiled")
    return Told(**kinds, valid=~spoiled, differs=kinds["terminated"] | kinds["truncated"] | spoiled)


FIRST = np.array([0, 2])
"""Of a limit of 4: environment 0 is cut at its 4th step, environment 1 at its 2nd."""


def test_a_sound_run_has_no_wrong_rows():
    run = told(6, terminated=[(1, 0)], truncated=[(1, 1), (5, 0)], spoiled=[(3, 1)])
    found = softrl_playground.checks(run, FIRST, 4)
    assert found == {"fell": 1, "cut": 2, "spoiled": 1, "cut_wrong": 0, "last_wrong": 0}


@pytest.mark.parametrize("place", [(0, 1), (2, 1)], ids=["early", "late"])
def test_an_episode_that_is_cut_at_another_step_is_found(place):
    assert softrl_playground.checks(told(3, truncated=[place]), FIRST, 4)["cut_wrong"] > 0


def test_a_last_observation_that_a_reset_has_overwritten_is_found():
    run = told(2, truncated=[(1, 1)])
    run.differs[1, 1] = False
    assert softrl_playground.checks(run, FIRST, 4)["last_wrong"] == 1
    run.differs[:] = [[True, False], [False, True]]  # and one that differs where nothing ended
    assert softrl_playground.checks(run, FIRST, 4)["last_wrong"] == 1


def test_the_page_shows_what_the_committed_robots_make():
    marks = ("<!-- robots -->\n", "<!-- /robots -->\n")
    shown = (ROOT / "docs/playground.md").read_text().partition(marks[0])[2].partition(marks[1])[0].strip()
    records = playground.kept(playground.RESULTS, list(robots.KNOWN))
    assert shown == playground.markdown(records), "put what `scripts/bench playground --markdown` prints between marks"


def test_every_committed_robot_is_known_small_and_says_where_it_ran():
    for path in playground.RESULTS.glob("*.json"):
        record = json.loads(path.read_text())
        assert record["robot"] == path.stem and path.stem in robots.KNOWN
        assert {"commit", "machine", "started", "stages"} <= record.keys() and path.stat().st_size < 6_000


def test_the_share_of_episodes_that_begin_alike_is_that_of_their_first_observations():
    interval, steps, count = 4, 40, 5
    env = episodes(walker(), name="walk", num_envs=count, episode_length=7, reset_interval=interval)
    step, refresh = jax.jit(env.step), jax.jit(env.refresh)
    # Some fall at once, again and again, others never.
    pushes = np.random.default_rng(0).choice([0.0, 5.0], p=[0.8, 0.2], size=(steps, count)).astype(np.float32)
    states = [jax.jit(env.reset)(jax.random.key(0))]
    for t, push in enumerate(pushes):
        now = states[-1]
        states.append(step(now._replace(bank=refresh(now)) if t % interval == 0 else now, push[:, None]))
    ended = np.stack([np.asarray(now.episode > before.episode) for before, now in pairwise(states)])
    alike = 0
    for n in range(count):
        starts = [float(now.obs[n, 0]) for now, over in zip(states[1:], ended[:, n], strict=True) if over]
        alike += sum(starts.count(start) > 1 for start in starts)
    assert softrl_resets.shared(ended, interval) == (alike, int(ended.sum())) and 0 < alike < ended.sum()


@pytest.mark.parametrize(
    ("often", "budget_s", "stretches"),
    [(False, 75.0, (50, 25)), (False, 74.0, (25, 24)), (False, 37.0, ()), (True, 37.0, (24, 12)), (True, 2.0, ())],
)
def test_a_round_is_two_episodes_or_one_or_where_resets_come_often_what_there_is_time_for(often, budget_s, stretches):
    found = softrl_resets.fitting(25, often, {"raw": 0.25, "T": 0.5, "0": 1.5}, budget_s)
    assert found == (dict(zip(("raw", "T", "0"), (stretches[0], *stretches), strict=True)) if stretches else {})


@pytest.mark.slow
def test_resets_are_measured_from_end_to_end_and_a_row_that_is_there_is_not_measured_again(
    monkeypatch, tmp_path, capsys, user_environment
):
    monkeypatch.setattr(resets, "INTERVALS", {"probe/bounded-lq": 8, "probe/nobody": 8})
    monkeypatch.setenv("XLA_FLAGS", user_environment["XLA_FLAGS"])
    monkeypatch.delenv("JAX_NUMPY_RANK_PROMOTION", raising=False)
    sizes = ("--envs", "4", "4096", "--members", "2", "--seconds", "1", "--rounds", "2")
    good, bad = resets.run(options(resets, tmp_path, *sizes))["rows"]
    assert {name: len(rounds) for name, rounds in good["step_s"].items()} == {"raw": 2, "T": 2, "0": 2}
    assert good["shipped"] == 0 and good["interval"] == 8 and good["episodes"] > 0
    assert bad["failed"].startswith("ConfigError: unknown environment 'probe/nobody'")
    said = capsys.readouterr().out
    assert "left out with more than 4,096 environments: probe/bounded-lq 4096x2, probe/nobody 4096x2" in said
    assert "8 (ships with 0)" in resets.markdown([good, bad]) and "* probe/nobody, 4 × 2: Config" in resets.markdown(
        [bad]
    )
    monkeypatch.setattr(resets.protocol, "stream", lambda *words: pytest.fail("measured again"))
    assert resets.run(options(resets, tmp_path, *sizes))["rows"] == [good, bad]


def row(**changes) -> dict:
    """Of a robot that ships with T = 8."""
    step_s = {"raw": [1.0, 2.0, 9.0], "T": [2.0, 2.5, 3.0], "0": [8.0, 8.0, 8.0]}
    about = {"env": "it", "num_envs": 64, "members": 1, "steps": {"T": 80, "0": 40}, "interval": 8, "shipped": 8}
    return {**about, "step_s": step_s, "episodes": 40, "shared": 4} | changes


def test_a_cost_is_a_ratio_of_medians_and_only_what_ships_has_bars():
    assert resets.cost(row(), "T") == 1.25 and resets.cost(row(), "0") == 4.0
    bars = resets.claims([row(), row(shipped=0), {"env": "it", "failed": "no memory"}, row(members=8)])
    assert [(bar.got, bar.wanted, bar.met) for bar in bars] == [
        (1.25, 1.25, True),
        (0.1, 0.05, False),
        (1.25, 1.35, True),
        (0.1, 0.05, False),
    ]


def test_the_page_shows_what_the_committed_rows_make():
    marks = ("<!-- resets -->\n", "<!-- /resets -->\n")
    shown = (ROOT / "docs/environments.md").read_text().partition(marks[0])[2].partition(marks[1])[0].strip()
    rows = resets.kept(resets.RESULTS, resets.tasks([64, 1024], [1, 8]))
    assert shown == resets.markdown(rows), "put what `scripts/bench resets --markdown` prints between the marks"
