"""The peers' recorder of scripts/bench: its clock, files, contestants and bars."""

import argparse
import contextlib
import json
import math
import os
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from benchmarks import brax, contestants, cores, curves, peers, protocol, report, seeds, standings
from benchmarks.runs import Watched
from benchmarks.workers import softrl_return

import softrl
from softrl.training import hosted


def evaluation(steps: int, value: float, *, seconds: float, evaluated_s: float, updates: int) -> dict:
    """As a worker tells it."""
    return {"env_steps": steps, "return": value, "seconds": seconds, "evaluated_s": evaluated_s, "updates": updates}


RUN = [
    evaluation(0, 10.0, seconds=7.0, evaluated_s=2.0, updates=0),
    evaluation(100, 20.0, seconds=29.0, evaluated_s=4.0, updates=100),
    evaluation(200, 40.0, seconds=41.0, evaluated_s=6.0, updates=200),
]
"""Clocks of 5, 25 and 35 s."""


def test_the_training_clock_stands_still_during_evaluations():
    assert curves.curve(RUN)["clock_s"] == [5.0, 25.0, 35.0]


def test_a_return_between_two_evaluations_is_linear_and_behind_the_last_one_unknown():
    curve = curves.curve(RUN)
    assert curves.at(curve, "return", "env_steps", 150) == 30.0
    assert curves.at(curve, "return", "clock_s", 30.0) == 30.0
    assert curves.at(curve, "clock_s", "env_steps", 200) == 35.0
    assert math.isnan(curves.at(curve, "return", "clock_s", 35.5))


def test_a_run_is_long_enough_only_where_steps_and_seconds_both_are():
    curve = curves.curve(RUN)
    assert curves.reaches(curve, 200, 35.0)
    assert not curves.reaches(curve, 201, 35.0) and not curves.reaches(curve, 200, 36.0)


def test_updates_a_second_leave_out_the_stretch_in_which_programs_are_compiled():
    assert curves.updates_per_s(curves.curve(RUN), 200) == 100 / 10.0
    assert math.isnan(curves.updates_per_s(curves.curve(RUN), 100))


def test_softrl_s_evaluations_are_timed_from_the_chunk_before_them_with_their_checkpoint(monkeypatch):
    sent, times = [], iter([0.0, 1.0, 3.0, 5.0, 8.0, 9.0, 10.0])
    monkeypatch.setattr(softrl_return.time, "perf_counter", lambda: next(times))
    monkeypatch.setattr(softrl_return.protocol, "send", sent.append)
    record = {"env_steps": 1, "updates": 1, "timing": {"compile_s": 1.0}}
    record["eval"] = {"return_mean": [2.0], "stochastic_return_mean": [1.0]}
    hear = softrl_return.listener()
    for name in ("compiled", "evaluation", "chunk", "chunk", "saved", "evaluation"):
        hear({"event": name, "record": record})
    assert [event["evaluated_s"] for event in sent] == [2.0, 4.0]


def test_all_contestants_are_evaluated_from_the_starts_of_softrl_s_own_evaluation():
    envs = softrl.make_env(softrl.EnvConfig(env="gym/Pendulum-v1", backend="sync", episode_length=200), num_envs=6)
    own = envs.reset(hosted.EVALUATION_SEED)[:3]
    envs.close()
    with contextlib.closing(gymnasium.make("Pendulum-v1")) as env:
        theirs = [env.reset(seed=start)[0] for start in peers.starts(3)]
    np.testing.assert_array_equal(own, theirs)


def parsed(module, *words: str) -> argparse.Namespace:
    """The options of a subcommand."""
    parser = argparse.ArgumentParser()
    module.arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def races(monkeypatch, tmp_path):
    """Runs `peers` on contestants that need no time: (the words of the command line) -> (result, who ran, in order)."""
    known = softrl.config.to_json(softrl.preset("gym/Hopper-v5"))

    def watch(module, wishes, log, enough, environment, **_):
        ran.append((wishes.get("preset") or wishes.get("algorithm") or "first", wishes["changes"]["seed"]))
        if wishes.get("algorithm") == "TQC":
            raise RuntimeError("sbx 0 has no TQC")
        rows = [evaluation(i * 10_000, -123.456789, seconds=60.0 * i, evaluated_s=0.1, updates=i) for i in range(40)]
        until = next((i for i, row in enumerate(rows, 1) if enough(row)), len(rows))
        return Watched({"versions": {}, "device": "cpu", "config": known, "seconds": 1.0}, rows[:until])

    ran: list = []
    monkeypatch.setattr(peers, "watch", watch)
    monkeypatch.setattr(peers, "checkout", lambda commit: tmp_path / commit)

    def race(*words: str):
        ran.clear()
        options = parsed(peers, "--only", "Hopper", "--results", str(tmp_path / "peers"), *words)
        options.logs = tmp_path
        return peers.run(options), list(ran)

    race.folder = tmp_path / "peers"
    return race


def test_contestants_of_a_seed_run_back_to_back_and_a_finished_seed_is_not_run_again(races):
    _, ran = races("--seeds", "2")
    names = ["tuned", "sample-efficient", "classic", "first", "SAC", "TQC", "CrossQ", "SAC", "SAC", "SAC"]
    assert ran == [(name, seed) for seed in (0, 1) for name in names]
    _, ran = races("--seeds", "3")
    # TQC fails, so that it is tried again.
    assert ran == [("TQC", 0), ("TQC", 1), *[(name, 2) for name in names]]


def test_a_contestant_that_is_refused_is_told_and_the_others_go_on(races, capsys):
    result, ran = races("--seeds", "1")
    assert result["failed"] == {"SBX TQC Hopper-v5, seed 0": "sbx 0 has no TQC"} and len(ran) == 10
    said = capsys.readouterr().out
    assert "failed: SBX TQC Hopper-v5, seed 0: sbx 0 has no TQC" in said
    assert "not measured yet: SBX TQC Hopper-v5" in said


def test_a_seed_s_file_is_small_and_says_what_ran_where(races):
    races("--seeds", "1")
    (path,) = races.folder.glob("softrl_tuned_Hopper-v5_*")
    assert path.stat().st_size < 20_000
    record = json.loads(path.read_text())
    assert record.keys() >= {"commit", "machine", "cores", "compile_s", "about", "started", "steps", "seconds"}


def test_a_seed_that_is_shorter_than_asked_for_is_run_again(races):
    races("--seeds", "1", "--steps", "200000")
    assert races("--seeds", "1", "--steps", "190000")[1] == [("TQC", 0)]
    assert len(races("--seeds", "1", "--steps", "210000")[1]) == 10


def test_a_race_by_the_clock_stops_with_it_and_stands_in_no_column_of_steps(races, capsys):
    races("--seeds", "1", "--only", "tuned", "Hopper", "--steps", "0", "--seconds", "120")
    (path,) = races.folder.glob("softrl_tuned_Hopper-v5_0.json")
    assert json.loads(path.read_text())["curve"]["env_steps"][-1] < peers.STEPS
    result, ran = races("--table", "--only", "tuned", "Hopper", "--seconds", "120")
    table = capsys.readouterr().out
    assert not ran and not result["failed"]
    row = next(line for line in table.splitlines() if line.startswith("  softrl tuned Hopper-v5"))
    assert row.split()[3:-1] == ["0", "-124", "-124", "-124", "1"]  # no seed went so many steps, one so many seconds


@pytest.mark.parametrize("option, had, asked", [("cores", 1, 2), ("every", 10_000, 50_000), ("episodes", 10, 3)])
def test_seeds_of_other_cores_or_evaluations_are_not_mixed(races, option, had, asked):
    races("--seeds", "1")
    with pytest.raises(RuntimeError, match=f"had {option} {had}, not {asked}: give --{option} {had}, or other --res"):
        races("--seeds", "1", f"--{option}", str(asked))


def test_one_that_ends_with_its_steps_needs_no_more_seconds(races):
    races("--seeds", "1")
    assert [name for name, _ in races("--seeds", "1", "--seconds", "5000")[1]].count("sample-efficient") == 0


def test_a_process_is_pinned_while_it_is_asked_to_be():
    before = os.sched_getaffinity(0)
    with cores.pinned(1) as threads:
        assert len(os.sched_getaffinity(0)) == 1 and threads == {"NPROC": "1"}
    assert os.sched_getaffinity(0) == before
    with pytest.raises(RuntimeError, match="--cores 4096: this process may use"), cores.pinned(4096):
        pass


def returned(share: float, names) -> dict:
    """That share of the best published returns, of these contestants on every robot."""
    return {(name, robot): share * best for name in names for robot, best in contestants.BEST.items()}


def test_bars_of_peers_are_stated_in_shares_of_published_returns_and_of_the_best_peer():
    by_steps = returned(0.9, ["softrl sample-efficient"]) | {("softrl sample-efficient", "Ant-v5"): 0.4 * 3942.0}
    by_clock = returned(0.6, ["softrl tuned"]) | returned(0.2, contestants.SBX) | returned(0.3, ["SBX CrossQ"])
    by_clock |= returned(0.5, [f"softrl {contestants.FIRST}"])
    got = [bar.got for bar in standings.claims(by_steps, by_clock)]
    # Sums and quotients of floats round.
    np.testing.assert_allclose(got, [(4 * 0.9 + 0.4) / 5, 0.4, 0.9 * 9815.0, 2.0, 1.2], rtol=1e-12)


def test_a_bar_over_rows_that_are_missing_is_not_measured_and_never_passed(capsys):
    by_steps = returned(2.0, ["softrl sample-efficient"])
    by_clock = returned(9.0, ["softrl tuned"]) | returned(0.1, (*contestants.SBX, f"softrl {contestants.FIRST}"))
    assert all(bar.met for bar in standings.claims(by_steps, by_clock))
    del by_steps["softrl sample-efficient", "HalfCheetah-v5"], by_clock["SBX TQC", "Ant-v5"]
    del by_clock[f"softrl {contestants.FIRST}", "Hopper-v5"]
    bars = standings.claims(by_steps, by_clock)
    assert all(math.isnan(bar.got) and not bar.met for bar in bars)
    report.bars(bars)
    assert capsys.readouterr().out.count("not measured") == 5


def test_the_page_s_race_is_of_the_committed_seeds():
    page = (Path(__file__).parents[1] / "docs" / "benchmarks.md").read_text()
    shown = page.partition("<!-- race -->\n")[2].partition("<!-- /race -->\n")[0].strip()
    known = {task: seeds.known(peers.RESULTS, task) for task in contestants.TASKS}
    assert shown == standings.markdown(known), "put what `scripts/bench peers --markdown` prints between the marks"


def test_a_pair_is_compared_by_the_difference_of_means_and_one_that_is_missing_is_not_measured():
    def runs(*returns):
        return [{"curve": {"env_steps": [0, peers.STEPS], "return": [0.0, value]}} for value in returns]

    ours, theirs = ((name, "Hopper-v5") for name in contestants.PUBLISHED_PAIR)
    known = {contestants.Task(*ours): runs(1.0, 3.0), contestants.Task(*theirs): runs(10.0, 10.0)}
    (found,) = standings.differences(known).values()
    assert (found.point, found.low, found.high) == (-8.0, -9.0, -7.0)
    cheetah, hopper, walker = standings.alike(known)
    assert not hopper.met and math.isnan(cheetah.got) and math.isnan(walker.got) and not cheetah.met


def test_words_choose_tasks_and_unknown_ones_are_refused():
    chosen = seeds.chosen(contestants.TASKS, ["SBX", "Ant"])
    assert {task.robot for task in chosen} == {"Ant-v5"} and [task.contestant for task in chosen] == [*contestants.SBX]
    with pytest.raises(RuntimeError, match="no task has Cat; tasks: softrl tuned HalfCheetah-v5"):
        seeds.chosen(contestants.TASKS, ["Cat"])


def test_a_preset_that_does_not_exist_is_refused_in_one_line(tmp_path, user_environment):
    extra = {"XLA_FLAGS": user_environment["XLA_FLAGS"]}
    wishes = {"env": "probe/bounded-lq", "preset": "nonsense", "changes": {}}
    with pytest.raises(RuntimeError, match=r"^unknown preset 'nonsense'[^\n]*$"):
        list(protocol.stream("softrl", "softrl_return", wishes, tmp_path / "log", extra))


def test_a_seed_that_is_there_is_not_run_again(tmp_path):
    tasks = [task for task in brax.TASKS if task.robot == "brax/hopper"]
    options = argparse.Namespace(results=tmp_path, seeds=2, table=False)
    first = seeds.file(tmp_path, tasks[0], 0)
    seeds.keep(first, {"seed": 0})
    left = [(task.contestant, seed) for task, seed, _ in seeds.missing(tasks, options)]
    assert left == [("Brax SAC", 0), ("softrl tuned", 1), ("Brax SAC", 1)]
    options.table = True
    assert not list(seeds.missing(tasks, options))


@pytest.mark.parametrize("robot", brax.NOTEBOOK)
def test_softrl_and_braxs_sac_are_compared_in_the_same_physics(robot, tmp_path, monkeypatch):
    asked = {}

    def watch(module, wishes, *_, **__) -> Watched:
        asked[module] = wishes
        return Watched({}, [evaluation(1, 1.0, seconds=1000.0, evaluated_s=0.0, updates=1)])

    monkeypatch.setattr(brax, "watch", watch)
    options = argparse.Namespace(seconds=300.0, every=8192, cores=2, logs=tmp_path)
    for task in (task for task in brax.TASKS if task.robot == f"brax/{robot}"):
        brax._seed(task, 0, options, {})
    ours = softrl.preset(asked["softrl_return"]["env"], **asked["softrl_return"]["changes"])
    assert asked["brax_return"]["backend"] == ours.env.backend
