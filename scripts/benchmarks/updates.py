"""`scripts/bench updates`: gradient updates a second, of everybody and against what the machine can do."""

import argparse
import statistics
from dataclasses import asdict, fields

from benchmarks import report
from benchmarks.report import Bar
from benchmarks.sizes import Sizes, bytes_per_update, flops_per_update
from benchmarks.turns import Contestant, take

PEERS = {"sb3": "sb3_sac", "sbx": "sbx_sac", "rejax": "rejax_sac"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's flags."""
    for field in fields(Sizes):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=int, default=field.default, help="of the learning problem"
        )
    parser.add_argument("--updates-per-call", type=int, default=256, help="updates in one call, of everybody")
    parser.add_argument("--rounds", type=int, default=7, help="turns that everybody takes; medians are reported")
    parser.add_argument("--seconds", type=float, default=3.0, help="least length of a turn")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS, help="whom to measure against")
    parser.add_argument("--members", nargs="*", type=int, help="None: 1 4 8 16 on a CPU, else 1 8 32 128")
    parser.add_argument("--no-members", action="store_true", help="leave the members out")
    parser.add_argument("--member-rounds", type=int, default=3, help="turns of each number of members")


def run(options: argparse.Namespace) -> dict:
    """Measures, prints and returns the result."""
    sizes = Sizes(**{field.name: getattr(options, field.name) for field in fields(Sizes)})
    result = report.header("updates", vars(options).copy())
    wishes = asdict(sizes) | {"updates_per_call": options.updates_per_call, "members": options.members}
    contestants = [
        Contestant("matmul", "softrl", "matmul", {}),
        Contestant("softrl", "softrl", "softrl_learn", wishes),
        *[Contestant(name, "peers", PEERS[name], wishes) for name in options.peers],
    ]
    rates, about = take(contestants, rounds=options.rounds, seconds=options.seconds, logs=options.logs)
    machine = rates.pop("matmul")
    copy = machine.pop("copy")
    updates = {variant: values for variants in rates.values() for variant, values in variants.items()}
    result |= {"about": about, "updates_per_s": updates, "flops_per_s": machine, "bytes_per_s": copy}
    ratios = _against_peers(updates)
    fractions = _against_machine(updates["softrl"], machine, copy, sizes)
    result |= {"ratios": ratios, "machine_share": fractions}
    if not options.no_members:
        result["members"] = _members(wishes, options)
    result["bars"] = report.bars(_claims(ratios, fractions))
    return result


def _against_peers(updates: dict[str, list[float]]) -> dict[str, float]:
    medians = report.medians(updates)
    ratios = {name: report.ratio(updates, "softrl", name) for name in updates}
    rows = [[name, medians[name], min(values), max(values), ratios[name]] for name, values in updates.items()]
    report.table("gradient updates a second", ["", "median", "least", "most", "softrl is x times that"], rows)
    return ratios


def _against_machine(
    softrl: list[float], machine: dict[str, list[float]], copy: list[float], sizes: Sizes
) -> dict[str, float]:
    """The share of the machine's best rate of matrix products that softrl's counted operations take up."""
    rate, medians = statistics.median(softrl), report.medians(machine)
    rows = [[f"{name} (matrix products)", value / 1e9, max(machine[name]) / 1e9] for name, value in medians.items()]
    report.table("the machine, GFLOP/s", ["", "median", "most"], rows)
    best, bandwidth = max(medians.values()), statistics.median(copy)
    shares = {
        "counted": rate * flops_per_update(sizes) / best,
        "strictly counted": rate * flops_per_update(sizes, strict=True) / best,
        "bytes": rate * bytes_per_update(sizes) / bandwidth,
    }
    costs = {
        "counted": flops_per_update(sizes) / 1e9,
        "strictly counted": flops_per_update(sizes, strict=True) / 1e9,
        "bytes": bytes_per_update(sizes) / 1e9,
    }
    ceilings = {"counted": best / 1e9, "strictly counted": best / 1e9, "bytes": bandwidth / 1e9}
    rows = [[name, costs[name], ceilings[name], shares[name]] for name in shares]
    report.table("softrl's share of it", ["", "G an update", "machine, G/s", "share"], rows)
    return shares


def _members(wishes: dict, options: argparse.Namespace) -> dict:
    print()
    contestant = Contestant("members", "softrl", "softrl_members", wishes)
    rates, about = take([contestant], rounds=options.member_rounds, seconds=options.seconds, logs=options.logs)
    medians = report.medians(rates["members"])
    rows = [[name, value, value / int(name.split()[1])] for name, value in medians.items()]
    report.table("members: whole chunks, a free environment", ["", "updates/s, all", "each"], rows)
    return {"about": about, "updates_per_s": rates["members"], "medians": medians}


def _claims(ratios: dict[str, float], shares: dict[str, float]) -> list[Bar]:
    wanted = {"SBX": 1.5, "Stable-Baselines3": 1.9, "rejax": 1.2, "rejax, cheap draws": 1.2}
    claims = [Bar(f"updates/s, softrl to {name}", ratios[name], bar) for name, bar in wanted.items() if name in ratios]
    return [*claims, Bar("share of the machine's matrix products", shares["counted"], 0.75)]
