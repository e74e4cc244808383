"""From the metrics of a batch, one line for all its members, to the ledger's lines, one for each."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from softrl.agents import algorithm
from softrl.storage import metrics
from softrl.sweep import batch
from softrl.sweep.groups import Member
from softrl.sweep.ledger import Ledger
from softrl.training.health import message
from softrl.training.records import kept


def ingest(directory: Path, ledger: Ledger) -> list[dict[str, Any]]:
    """Takes over what a batch has written since, and returns the lines that are new.

    Raises: CheckpointError where the batch's metrics are damaged, or the ledger cannot be written.
    """
    path = directory / "metrics.jsonl"
    if not path.exists():
        return []
    job = batch.read(directory)
    lost = {line["member"] for line in ledger.lines() if line["kind"] == "diverged"} if job.start else set()
    return ledger.add(lines(job, metrics.read(path), lost))


def lines(job: batch.Job, records: Iterable[dict[str, Any]], lost: Collection[str] = ()) -> list[dict[str, Any]]:
    """The ledger's lines that follow from these records of a batch, oldest first. `lost`: members that had diverged."""
    found, frozen, entry = [], set(lost), algorithm(job.config.algorithm)
    for record in records:
        numbers, updates, health = kept(record, entry), record["updates"], record["health"]
        for slot, member in enumerate(job.members):
            if member.id in frozen:
                continue
            own = {"updates": updates, **{name: values[slot] for name, values in numbers.items()}}
            own |= {"quarantined": health["quarantined"][slot], "timing": record["timing"]}
            found.append(_line("evaluation", member, record, **own))
            if health["code"][slot]:
                frozen.add(member.id)
                found.append(_line("diverged", member, record, updates=updates, cause=message(health["code"][slot])))
        if record.get("search"):
            revived = list(_lineage(job.members, record))  # they go on with another's state
            found += revived
            frozen -= {line["member"] for line in revived}
    return found


def _lineage(members: tuple[Member, ...], record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    search = record["search"]
    for slot, member in enumerate(members):
        parent = search["parent"][slot]
        if parent != slot:
            changes = {name: values[slot] for name, values in search["hypers"].items()}
            yield _line("lineage", member, record, parent=members[parent].id, changes=changes)


def _line(kind: str, member: Member, record: dict[str, Any], /, **more: Any) -> dict[str, Any]:
    step = record["env_steps"]
    return {"key": f"{member.id}/{kind}/{step}", "kind": kind, "member": member.id, "step": step, **more}
