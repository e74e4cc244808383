"""The loop that hands batches to a cluster: every batch is finished once, whatever is lost on the way."""

import signal
from collections import deque

import pytest

from softrl.errors import ConfigError, SoftRLError
from softrl.storage import directory
from softrl.sweep import batch, fleet, worker
from softrl.sweep.worker import Told
from softrl.training.signals import Request


class Script:
    """A cluster that plays a script: for each batch what becomes of its first, second, … attempt."""

    def __init__(self, **attempts):
        self.attempts = {name: deque(outcomes) for name, outcomes in attempts.items()}
        self.submitted, self.stopped, self.most, self.open = [], [], 0, set()

    def submit(self, directories):
        tasks = [(where, len(self.submitted) + i) for i, where in enumerate(directories)]
        self.submitted += [where.name for where in directories]
        self.open |= set(tasks)
        self.most = max(self.most, len(self.open))
        return tasks

    def wait(self, tasks, seconds):
        return [task for task in tasks if self.attempts[task[0].name][0] != "running"]

    def answer(self, task):
        self.open.discard(task)
        outcome = self.attempts[task[0].name].popleft()
        if outcome == "further":
            with (task[0] / "metrics.jsonl").open("a") as file:
                file.write("{}\n")
        if outcome in ("lost", "further"):
            raise fleet.LostError("the machine is gone")
        return outcome if isinstance(outcome, Told) else Told(outcome)

    def stop(self, tasks):
        self.stopped += [where.name for where, _ in tasks]
        for where, _ in tasks:
            self.attempts[where.name][0] = "stopped"


def supervised(tmp_path, cluster, *, request=None, on_report=lambda where, what: None, **options):
    """What was reported and told."""
    directories = [tmp_path / name for name in cluster.attempts]
    for where in directories:
        where.mkdir()
    reports, told = [], []

    def report(where, what):
        reports.append((where.name, what))
        on_report(where, what)

    try:
        fleet.supervise(cluster, directories, report, request or Request(), told.append, **options)
    finally:
        assert cluster.open == set() or cluster.stopped
    return reports, told


def test_every_batch_is_finished_once(tmp_path):
    cluster = Script(a=["finished"], b=["lost", "finished"], c=["stopped", "lost", "finished"])
    reports, told = supervised(tmp_path, cluster)
    assert sorted(reports) == [("a", "finished"), ("b", "finished"), ("c", "finished")]
    assert sorted(cluster.submitted) == ["a", "b", "b", "c", "c", "c"]
    assert [event["event"] for event in told] == ["lost"] * 3


def test_a_batch_that_gets_further_may_be_lost_any_number_of_times(tmp_path):
    cluster = Script(a=["further"] * 50 + ["finished"])
    reports, _ = supervised(tmp_path, cluster)
    assert reports.count(("a", "finished")) == 1 and len(cluster.submitted) == 51


def test_a_batch_that_gets_nowhere_is_given_up_with_the_reason(tmp_path):
    cluster = Script(a=["lost"] * 100, b=["running"])
    with pytest.raises(SoftRLError, match=rf"lost {fleet.RETRIES + 1} times in a row.*the machine is gone"):
        supervised(tmp_path, cluster)
    assert cluster.submitted.count("a") == fleet.RETRIES + 1
    assert cluster.stopped == ["b"], "what still runs is asked to save"


def test_a_batch_that_cannot_be_is_said_at_once(tmp_path):
    cluster = Script(a=[Told("refused", "replay_size 1 is too small")])
    with pytest.raises(SoftRLError, match="replay_size 1 is too small"):
        supervised(tmp_path, cluster)
    assert cluster.submitted == ["a"]


def test_new_metrics_are_reported_while_a_batch_runs_and_old_ones_are_not(tmp_path, monkeypatch):
    cluster, request, rounds = Script(a=["running"]), Request(), iter(range(4))

    def wait(tasks, seconds):
        turn = next(rounds)
        if turn in (1, 3):
            with (tmp_path / "a" / "metrics.jsonl").open("a") as file:
                file.write("{}\n")
        request.requested = signal.SIGTERM if turn == 3 else None
        return []

    monkeypatch.setattr(cluster, "wait", wait)
    monkeypatch.setattr(fleet, "GRACE_S", 0.0)
    reports, _ = supervised(tmp_path, cluster, request=request)
    assert reports == [("a", "evaluation"), ("a", "evaluation")]
    assert cluster.stopped == ["a"]


def test_no_more_tasks_at_a_time_than_asked_for(tmp_path):
    cluster = Script(**{f"b{i}": ["finished"] for i in range(7)})
    supervised(tmp_path, cluster, most=2)
    assert cluster.most == 2


def test_a_request_to_stop_asks_the_running_ones_to_save_and_hands_out_no_more(tmp_path):
    request = Request()
    cluster = Script(a=["finished"], b=["running"], c=["running"])

    def stop_after_one(where, what):
        request.requested = signal.SIGINT

    supervised(tmp_path, cluster, request=request, on_report=stop_after_one, most=2)
    assert cluster.stopped == ["b"] and "c" not in cluster.submitted


def test_an_unknown_option_is_named():
    with pytest.raises(ConfigError, match="no option 'gpu'; it has cpus, gpus"):
        fleet.chosen({"gpu": 1}, {"cpus": 1, "gpus": 0}, "ray")


def test_a_worker_that_does_not_see_the_directory_says_so(tmp_path):
    told = worker.run_batch(str(tmp_path / "elsewhere"))
    assert told.state == "refused" and "every machine must see --out" in told.cause


def test_a_worker_waits_for_one_that_does_not_know_yet_that_its_driver_is_gone(tmp_path, monkeypatch):
    (tmp_path / batch.NAME).write_text("{}")
    held = directory.claim(tmp_path)
    seen = []
    monkeypatch.setattr(worker.time, "sleep", lambda seconds: (seen.append(seconds), held.release()))
    worker._wait_until_free(tmp_path)
    assert len(seen) == 1
    directory.claim(tmp_path).release()


def test_workers_that_share_an_accelerator_share_its_memory():
    assert worker.environment(0.0).keys() <= {"JAX_COMPILATION_CACHE_DIR"}
    assert worker.environment(0.25)["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.225"
    assert "XLA_PYTHON_CLIENT_MEM_FRACTION" not in worker.environment(1.0)
