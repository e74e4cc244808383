"""From the metrics of a batch, one line for all its members, to the ledger's lines, one for each."""

from collections.abc import Iterable, Mapping
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
    return ledger.add(lines(batch.read(directory), metrics.read(path)))


def lines(job: batch.Job, records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The ledger's lines that follow from these records of a batch, oldest first."""
    found, frozen, entry = [], set(), algorithm(job.config.algorithm)
    for record in records:
        numbers = kept(record, entry)
        for slot, member in enumerate(job.members):
            if member.id in frozen:
                continue
            found.append(_evaluation(member, record, slot, numbers))
            if record["health"]["code"][slot]:
                frozen.add(member.id)
                found.append(_diverged(member, record, slot))
        if record.get("search"):
            found += _lineage(job.members, record)
            frozen -= {line["member"] for line in found if line["kind"] == "lineage"}  # revived by another's state
    return found


def _evaluation(member: Member, record: dict[str, Any], slot: int, numbers: Mapping[str, Any]) -> dict[str, Any]:
    step = record["env_steps"]
    return {
        "key": f"{member.id}/evaluation/{step}",
        "kind": "evaluation",
        "member": member.id,
        "step": step,
        "updates": record["updates"],
        **{name: values[slot] for name, values in numbers.items()},
        "quarantined": record["health"]["quarantined"][slot],
        "timing": record["timing"],
    }


def _diverged(member: Member, record: dict[str, Any], slot: int) -> dict[str, Any]:
    cause = message(record["health"]["code"][slot])
    about = {"member": member.id, "step": record["env_steps"], "updates": record["updates"], "cause": cause}
    return {"key": f"{member.id}/diverged/{record['env_steps']}", "kind": "diverged", **about}


def _lineage(members: tuple[Member, ...], record: dict[str, Any]) -> list[dict[str, Any]]:
    step, search = record["env_steps"], record["search"]
    return [
        {
            "key": f"{member.id}/lineage/{step}",
            "kind": "lineage",
            "member": member.id,
            "step": step,
            "parent": members[search["parent"][slot]].id,
            "changes": {name: values[slot] for name, values in search["hypers"].items()},
        }
        for slot, member in enumerate(members)
        if search["parent"][slot] != slot
    ]
