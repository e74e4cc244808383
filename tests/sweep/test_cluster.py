"""The loop that hands batches to a cluster: every batch is finished once, whatever is lost on the way."""

import signal
from collections import deque

import pytest

from softrl.errors import ConfigError, SoftRLError
from softrl.storage import directory
from softrl.sweep import batch, cluster, worker
from softrl.sweep.worker import TaskResult
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

    def result(self, task):
        self.open.discard(task)
        outcome = self.attempts[task[0].name].popleft()
        if outcome == "further":
            with (task[0] / "metrics.jsonl").open("a") as file:
                file.write("{}\n")
        if outcome in ("lost", "further"):
            raise cluster.LostError("the machine is gone")
        return outcome if isinstance(outcome, TaskResult) else TaskResult(outcome)

    def stop(self, tasks):
        self.stopped += [where.name for where, _ in tasks]
        for where, _ in tasks:
            self.attempts[where.name][0] = "stopped"


def supervised(tmp_path, script, *, request=None, on_report=lambda where, what: None, **options):
    """What was reported, and the events."""
    directories = [tmp_path / name for name in script.attempts]
    for where in directories:
        where.mkdir(parents=True)
    reports, events = [], []

    def report(where, what):
        reports.append((where.name, what))
        on_report(where, what)

    try:
        cluster.supervise(script, directories, report, request or Request(), events.append, **options)
    finally:
        assert script.open == set() or script.stopped
    return reports, events


def test_every_batch_is_finished_once(tmp_path):
    script = Script(a=["finished"], b=["lost", "finished"], c=["stopped", "lost", "finished"])
    reports, events = supervised(tmp_path, script)
    assert sorted(reports) == [("a", "finished"), ("b", "finished"), ("c", "finished")]
    assert sorted(script.submitted) == ["a", "b", "b", "c", "c", "c"]
    assert [event["event"] for event in events] == ["lost"] * 3


def test_a_batch_that_gets_further_may_be_lost_any_number_of_times(tmp_path):
    script = Script(a=["further"] * 50 + ["finished"])
    reports, _ = supervised(tmp_path, script)
    assert reports.count(("a", "finished")) == 1 and len(script.submitted) == 51


def test_a_batch_that_gets_nowhere_is_given_up_with_the_reason(tmp_path):
    script = Script(a=["lost"] * 100, b=["running"])
    with pytest.raises(SoftRLError, match=rf"lost {cluster.RETRIES + 1} times in a row.*the machine is gone"):
        supervised(tmp_path, script)
    assert script.submitted.count("a") == cluster.RETRIES + 1
    assert script.stopped == ["b"], "what still runs is asked to save"


def test_an_error_of_the_users_own_that_comes_again_is_not_tried_nine_times(tmp_path):
    failed = TaskResult("failed", "ZeroDivisionError: in my reward")
    script = Script(a=[failed, "finished"])
    _, events = supervised(tmp_path, script)
    assert [event["became"] for event in events] == ["failed"], "it may have been the machine's"
    with pytest.raises(SoftRLError, match=r"failed 2 times in a row .*ZeroDivisionError: in my reward"):
        supervised(tmp_path / "again", Script(a=[failed] * 9))


def test_a_batch_that_cannot_be_is_said_at_once(tmp_path):
    script = Script(a=[TaskResult("refused", "replay_size 1 is too small")])
    with pytest.raises(SoftRLError, match="replay_size 1 is too small"):
        supervised(tmp_path, script)
    assert script.submitted == ["a"]


def test_new_metrics_are_reported_while_a_batch_runs_and_old_ones_are_not(tmp_path, monkeypatch):
    script, request, rounds = Script(a=["running"]), Request(), iter(range(4))

    def wait(tasks, seconds):
        turn = next(rounds)
        if turn in (1, 3):
            with (tmp_path / "a" / "metrics.jsonl").open("a") as file:
                file.write("{}\n")
        request.requested = signal.SIGTERM if turn == 3 else None
        return []

    monkeypatch.setattr(script, "wait", wait)
    monkeypatch.setattr(cluster, "GRACE_S", 0.0)
    reports, _ = supervised(tmp_path, script, request=request)
    assert reports == [("a", "evaluation"), ("a", "evaluation")]
    assert script.stopped == ["a"]


def test_no_more_tasks_at_a_time_than_asked_for(tmp_path):
    script = Script(**{f"b{i}": ["finished"] for i in range(7)})
    supervised(tmp_path, script, most=2)
    assert script.most == 2


def test_a_request_to_stop_asks_the_running_ones_to_save_and_hands_out_no_more(tmp_path):
    request = Request()
    script = Script(a=["finished"], b=["running"], c=["running"])

    def stop_after_one(where, what):
        request.requested = signal.SIGINT

    supervised(tmp_path, script, request=request, on_report=stop_after_one, most=2)
    assert script.stopped == ["b"] and "c" not in script.submitted


def test_an_unknown_option_is_named():
    with pytest.raises(ConfigError, match="no option 'gpu'; it has cpus, gpus"):
        cluster.chosen({"gpu": 1}, {"cpus": 1, "gpus": 0}, "ray")


def test_a_worker_that_does_not_see_the_directory_says_so(tmp_path):
    result = worker.run_batch(str(tmp_path / "elsewhere"))
    assert result.state == "refused" and "every machine must see --out" in result.cause


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
