"""Searches between chunks: they choose by the numbers, copy whole states, and a kill changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softrl.config import change
from softrl.reporting.report import page
from softrl.sweep import batch, halving, ingest, ledger
from softrl.sweep.driver import run
from softrl.sweep.groups import expand
from softrl.sweep.pbt import exploit_and_explore, ranked_parents
from softrl.sweep.scheduling import ranges_of
from softrl.sweep.search import Halving
from softrl.sweep.spec import load
from softrl.training.assemble import assemble, member_hypers
from softrl.training.records import EVALUATED
from tests import tiny as one
from tests.sweep import tiny

pytestmark = pytest.mark.usefixtures("compiled_once")

LRS = {"log_uniform": [1e-5, 1e-1], "n": 4, "seed": 2}
HALVING = tiny.spec({"critic_lr": LRS}, steps=4 * 128, search={"method": "halving", "eta": 2, "rungs": 3})
PBT = tiny.spec({"critic_lr": LRS}, steps=1024, search={"method": "pbt", "share": 0.25, "seed": 5})
OPTUNA = tiny.spec(
    {"critic_lr": {"log_uniform": [1e-5, 1e-1]}, "gamma": [0.8, 0.9]},
    seeds=2,
    steps=256,
    search={"method": "optuna", "trials": 5, "batch": 2},
)


def kinds(lines: list[dict], kind: str) -> list[dict]:
    """The lines of one kind."""
    return [line for line in lines if line["kind"] == kind]


def truth(out) -> list[dict]:
    """The ledger without clocks."""
    return sorted(({**line, "timing": 0} for line in ledger.read(out)), key=lambda line: line["key"])


class Killed(BaseException):
    """Stands for the end of a process."""


def killed(words: dict, out, after: int):
    """A sweep whose process ends at every `after`-th evaluation, and is started again until it is done."""
    for _ in range(40):
        seen = []

        def listener(event, seen=seen):
            seen.append(event["event"] == "evaluation")
            if sum(seen) == after:
                raise Killed

        try:
            return run(words, out, listener=listener)
        except Killed:
            continue
    raise AssertionError("the sweep makes no headway between kills")


@pytest.mark.slow
def test_halving_stops_the_worse_and_trains_the_better_further(tmp_path):
    rows = run(HALVING, tmp_path).results
    lines = ledger.read(tmp_path)
    assert sorted(row.final_step for row in rows) == [128] * 2 + [256] + [512]
    assert sorted(row.status for row in rows) == ["done"] + ["stopped"] * 3
    first = {line["member"]: line["return_mean"] for line in kinds(lines, "evaluation") if line["step"] == 128}
    lost = {line["member"] for line in kinds(lines, "stopped") if line["rung"] == 0}
    assert len(lost) == 2
    assert min(value for name, value in first.items() if name not in lost) >= max(first[name] for name in lost)


@pytest.mark.slow
def test_a_survivor_of_halving_is_the_run_that_was_never_interrupted(tmp_path):
    winner = next(row for row in run(HALVING, tmp_path).results if row.status == "done")
    rates = {row.changes["critic_lr"] for row in [winner]}
    alone = run(tiny.spec({"critic_lr": list(rates)}, seeds=[winner.member.seed], steps=4 * 128), tmp_path / "alone")
    assert alone.results[0].final_return == winner.final_return


def test_a_rung_is_judged_by_what_was_known_at_its_end_whatever_its_survivors_do_later():
    (group,) = expand(load(HALVING))
    members = group.members
    lines = [
        {"kind": "evaluation", "member": one.id, "step": 128, "return_mean": float(i)} for i, one in enumerate(members)
    ]
    lost = {"kind": "diverged", "member": members[3].id, "cause": "NaN"}
    assert halving.ranking(members, lines, 128) == [3, 2, 1, 0]
    assert halving.ranking(members, [*lines, {**lost, "step": 256}], 128) == [3, 2, 1, 0]
    assert halving.ranking(members, [*lines, {**lost, "step": 128}], 128) == [2, 1, 0, 3]


def test_a_batch_that_may_have_begun_keeps_its_members(tmp_path):
    (group,) = expand(load(HALVING))
    job = batch.Job("g0", "r1", group.config, group.members[:2])
    batch.write(tmp_path, job)
    batch.write(tmp_path, job._replace(members=group.members[2:]))
    assert batch.read(tmp_path) == job


@pytest.mark.parametrize("own", [{"rate_end": 0.1}, {"updates_per_step": 4, "updates_per_step_end": 1}], ids=str)
def test_what_falls_during_a_run_falls_the_same_in_a_sweep_and_in_every_rung_of_halving(own):
    config = change(load(HALVING).config, **own)
    whole = assemble(config)
    for rung in halving.rungs(Halving(eta=2, rungs=3), 4, config):
        stage = assemble(halving.config_of(rung, config))
        assert stage.hypers == whole.hypers and stage.program.falling == whole.program.falling
    assert assemble(batch.of_program(config)).program.falling == whole.program.falling


@pytest.mark.slow
def test_population_based_training_copies_winners_and_keeps_their_lineage(tmp_path):
    rows = run(PBT, tmp_path).results
    lines = ledger.read(tmp_path)
    lineage, looks = kinds(lines, "lineage"), kinds(lines, "evaluation")
    assert [line["step"] for line in lineage] == [256, 512, 768]
    for line in lineage:
        then = {look["member"]: look["return_mean"] for look in looks if look["step"] == line["step"]}
        assert then[line["parent"]] == max(then.values()) and then[line["member"]] == min(then.values())
        assert 1e-5 <= line["changes"]["critic_lr"] <= 0.1000001
    last = lineage[-1]
    assert next(row for row in rows if row.member.id == last["member"]).changes == last["changes"]


@pytest.mark.parametrize("words, after", [(HALVING, 2), (PBT, 2)], ids=["halving", "pbt"])
def test_a_killed_search_ends_as_the_calm_one(words, after, tmp_path, monkeypatch):
    monkeypatch.setattr("softrl.sweep.batch.SAVE_EVERY_S", 0.0)
    calm, hurt = run(words, tmp_path / "calm"), killed(words, tmp_path / "hurt", after)
    assert repr(calm.results) == repr(hurt.results)
    assert truth(tmp_path / "calm") == truth(tmp_path / "hurt")


def test_a_rung_s_damaged_batch_json_is_written_again_before_the_next_reads_it(tmp_path, monkeypatch):
    calm, told = run(HALVING, tmp_path / "calm"), []

    def listener(event):
        told.append(event["event"] == "batch")
        if sum(told) == 2:
            raise Killed

    with pytest.raises(Killed):
        run(HALVING, tmp_path / "hurt", listener=listener)
    (tmp_path / "hurt" / "groups" / "g0" / "r0" / "batch.json").write_text("rubbish")
    assert repr(run(HALVING, tmp_path / "hurt").results) == repr(calm.results)


def test_optuna_asks_tells_and_a_kill_asks_the_same_again(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    monkeypatch.setattr("softrl.sweep.batch.SAVE_EVERY_S", 0.0)
    calm, hurt = run(OPTUNA, tmp_path / "calm"), killed(OPTUNA, tmp_path / "hurt", 2)
    assert len(calm.results) == 10 and {row.status for row in calm.results} == {"done"}
    assert len({row.changes["critic_lr"] for row in calm.results}) == 5
    assert repr(calm.results) == repr(hurt.results)
    assert truth(tmp_path / "calm") == truth(tmp_path / "hurt")


def test_optunas_own_tools_can_read_the_journal(tmp_path):
    optuna = pytest.importorskip("optuna")
    rows = run(OPTUNA, tmp_path).results
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "optuna.journal"))
    study = optuna.load_study(study_name="g0", storage=optuna.storages.JournalStorage(backend))
    assert len(study.trials) == 5
    means = [np.mean([row.final_return for row in rows[i : i + 2]]) for i in range(0, 10, 2)]
    assert study.best_value == max(means)
    assert sorted(path.name for path in tmp_path.iterdir() if "optuna" in path.name) == ["optuna.journal"]


def test_the_worst_take_the_bests_state_and_nobody_else_moves():
    scores = np.array([1.0, 9.0, np.nan, 4.0, 8.0, 2.0, 3.0, 5.0])
    frozen = np.array([False] * 7 + [True])
    assert ranked_parents(scores, frozen, 0.25).tolist() == [0, 1, 4, 3, 4, 5, 6, 1]
    assert ranked_parents(np.arange(2.0), np.zeros(2, bool), 0.25).tolist() == [1, 1]
    assert ranked_parents(np.zeros(3), np.zeros(3, bool), 0.5).tolist() == [0, 1, 0]
    assert ranked_parents(np.arange(4.0), np.array([False, True, True, True]), 0.5).tolist() == [0, 1, 0, 0]
    assert ranked_parents(np.arange(4.0), np.ones(4, bool), 0.5).tolist() == [0, 1, 2, 3]


def test_a_copy_has_its_parents_whole_state_but_its_own_keys():
    assembled, programs = tiny.prepare(change(load(PBT).config, seeds=4))  # as a search has them
    run_, _ = programs.chunk(programs.init(), programs.hypers)
    before = jax.tree.map(jnp.copy, run_)
    hypers = one.with_hypers(member_hypers(assembled), critic_lr=[1e-4, 1e-3, 1e-2, 1e-3], gamma=[0.8, 0.9, 0.95, 0.9])
    key, parents = jax.random.key(0), jnp.array([0, 1, 1, 3])
    after, moved = exploit_and_explore(run_, hypers, parents, key, 2.0, {"critic_lr": (1e-4, 1.5e-3)})
    strip = [
        state._replace(learner=state.learner._replace(key=()), env=state.env._replace(key=()))
        for state in (before, after)
    ]
    blank = [state._replace(clock=()) for state in strip]
    for slot, parent in enumerate([0, 1, 1, 3]):
        assert one.same_bits(one.member(blank[1], slot), one.member(blank[0], parent))
    assert one.same_bits(after.learner.key, before.learner.key) and one.same_bits(after.env.key, before.env.key)
    assert one.same_bits(after.clock, before.clock)
    assert moved.agent.critic_lr[:2].tolist() == hypers.agent.critic_lr[:2].tolist()
    assert float(moved.agent.critic_lr[2]) in (np.float32(5e-4), np.float32(1.5e-3))
    assert float(moved.agent.gamma[2]) == float(hypers.agent.gamma[1])


@pytest.mark.parametrize("words", [PBT, pytest.param(HALVING, marks=pytest.mark.slow)], ids=["pbt", "halving"])
def test_a_search_goes_on_where_members_are_spread_over_devices(words, tmp_path):
    """A gather forgets the sharding, which a compiled chunk insists on."""
    base = words["base"] | {"num_envs": 4, "data_shards": 2, "replay_shards": 2, "steps": 512}
    rows = run(words | {"base": base}, tmp_path).results
    assert {row.status for row in rows} <= {"done", "stopped"} and len(rows) == 4


def test_seconds_of_a_halved_member_grow_over_its_rungs_compilation_included(tmp_path):
    run(HALVING, tmp_path)
    survivor = next(line["member"] for line in reversed(ledger.read(tmp_path)) if line["kind"] == "evaluation")
    looks = [line for line in kinds(ledger.read(tmp_path), "evaluation") if line["member"] == survivor]
    wall = [line["timing"]["wall_s"] for line in sorted(looks, key=lambda line: line["step"])]
    assert wall == sorted(wall) and wall[0] > looks[0]["timing"]["compile_s"] > 0.0
    told = page.read(tmp_path)
    assert told.seconds == pytest.approx(wall[-1]), "rungs of one batch each, one after the other"
    assert not list(tmp_path.glob("groups/*/*/checkpoints/[0-9]*")), "nothing will go on from there"


def test_what_had_diverged_before_a_rung_has_no_evaluations_after_its_end():
    members = expand(load(HALVING))[0].members
    job = batch.Job("g0", "r1", load(HALVING).config, members[:2], start={"batch": "r0", "slots": [0, 1]})
    per = {name: [0.0, 0.0] for name in EVALUATED}
    record = {"env_steps": 512, "updates": 9, "eval": per, "train": {}, "timing": {"wall_s": 1.0}}
    record["health"] = {"code": [1, 0], "quarantined": [0, 0]}
    assert {line["member"] for line in ingest.lines(job, [record], {members[0].id})} == {members[1].id}


def test_a_listed_value_of_optunas_is_trained_as_it_is_listed_and_a_drawn_one_is_in_its_range(tmp_path):
    pytest.importorskip("optuna")
    exact = 0.00033333333
    words = tiny.spec(
        {"critic_lr": [exact, 1e-3], "gamma": {"uniform": [0.9, 0.90000001]}},
        steps=256,
        search={"method": "optuna", "trials": 6, "batch": 3},
    )
    rows = run(words, tmp_path).results
    assert {row.changes["critic_lr"] for row in rows} == {exact, 1e-3}
    assert all(0.9 <= row.changes["gamma"] <= 0.90000001 for row in rows)


def test_proposals_of_which_a_power_cut_left_a_part_are_asked_for_again(tmp_path):
    pytest.importorskip("optuna")
    calm = run(OPTUNA, tmp_path / "calm").results

    def cut(event):
        if event["event"] == "lines":
            raise Killed

    with pytest.raises(Killed):
        run(OPTUNA, tmp_path / "cut", listener=cut)
    path = tmp_path / "cut" / "ledger.jsonl"
    first, second, *_ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:20])
    assert repr(run(OPTUNA, tmp_path / "cut").results) == repr(calm)


def test_ranges_are_those_of_the_axes():
    axes = load(tiny.spec({"critic_lr": [1e-3, 1e-4], "gamma": {"linear": [0.5, 0.9], "n": 2}, "width": [8]})).axes
    assert ranges_of(axes) == {"critic_lr": (1e-4, 1e-3), "gamma": (0.5, 0.9)}
