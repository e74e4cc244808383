"""Sweeps on disk with made-up numbers: as many members as one likes, and nothing is trained."""

import contextlib
import math
import random
from pathlib import Path

from softrl.sweep import folder, groups, ledger, spec

SURROUNDINGS = {
    "versions": {"softrl": "0.1.0", "jax": "0.10.2", "python": "3.11.2"},
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "machine": {"device": "cpu", "devices": 1, "system": "Linux"},
}


def made(
    out: Path,
    words: dict,
    *,
    looks: int = 12,
    diverging: bool = False,
    unfinished: int = 0,
    surroundings: dict = SURROUNDINGS,
) -> Path:
    """A sweep of `words` with a learning curve for every member.

    looks: evaluations of each. diverging: every seventeenth member diverges half way. unfinished: members at the end
    that have no evaluation yet. surroundings: versions, commit and machine.
    """
    one = spec.load(words)
    made = [groups.split(group, 8) for group in groups.expand(one)]
    out.mkdir(parents=True, exist_ok=True)
    folder.agree(out, folder.describe(one, tuple(made), surroundings))
    members = [member for group in made for member in group.members]
    begun = members[: len(members) - unfinished]
    with contextlib.closing(ledger.Ledger(out)) as book:
        for index, member in enumerate(begun):
            book.add(_lines(member, index, looks, diverging and index % 17 == 11))
        for group, batch in dict.fromkeys((member.group, member.batch) for member in members):
            mine = [member for member in members if (member.group, member.batch) == (group, batch)]
            if all(member in begun for member in mine):
                about = {"group": group, "batch": batch, "members": [member.id for member in mine]}
                book.add([{"key": f"batch/{group}/{batch}", "kind": "batch", **about}])
    return out


def _lines(member: groups.Member, index: int, looks: int, diverges: bool) -> list[dict]:
    dice = random.Random(f"{member.seed}/{index}")
    height = 100.0
    for name, value in member.changes.items():
        if isinstance(value, (int, float)) and value > 0:
            height -= 12.0 * abs(math.log10(value) - {"temperature": -1.0, "critic_lr": -3.0}.get(name, 2.0)) ** 2
    lines = []
    for look in range(looks):
        step = look * 4096
        learned = 1.0 - math.exp(-3.0 * look / looks)
        mean = -60.0 + (height + 60.0) * learned + dice.gauss(0.0, 4.0)
        if diverges and look == looks // 2:
            lines.append(
                {
                    "key": f"{member.id}/diverged",
                    "kind": "diverged",
                    "member": member.id,
                    "step": step,
                    "updates": step // 4,
                    "cause": "frozen: loss or gradient was not finite 10 updates in a row",
                }
            )
            break
        lines.append({
            "key": f"{member.id}/{step}", "kind": "evaluation", "member": member.id, "step": step, "updates": step // 4,
            "return_mean": mean, "return_std": 6.0, "length_mean": 100.0, "stochastic_return_mean": mean - 10.0,
            "stochastic_return_std": 8.0, "stochastic_length_mean": 100.0, "entropy": 2.0 - 3.0 * learned,
            "temperature": 0.3 * math.exp(-learned), "quarantined": 0, "timing": {"wall_s": 3.0 * look + 1.0},
        })  # fmt: skip
    return lines
