"""Follow what was changed: each act on a bundle, each policy and each switch must be possible after those before. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from stepdown.audit.witnesses import Difference, Evidence
from stepdown.bundles.standing import MECHANISMS, ROLLBACK, Standing
from stepdown.bundles.trail import behind
from stepdown.history import rows


def acts(evidence: Evidence) -> Iterator[Difference]:
    """Every act names a registered bundle and its own slot (I6), and changes what those before left (I10)."""
    bundle_of = {bundle.id: bundle for bundle in evidence.bundles}
    standing, deleted = Standing(), set[str]()
    for position, act in enumerate(evidence.acts):
        bundle = bundle_of[act.bundle]
        where = f"{act.kind} {act.bundle[:12]}"
        if (act.scenario, act.role) != (bundle.scenario, bundle.role):
            yield Difference("I6", where, "it names a slot that is not the bundle's")
        if _impossible(act, standing, deleted):
            yield Difference("I10", where, f"a bundle that is {standing.status(act.bundle)} cannot be told so")
        problem = _overstepped(act, standing, evidence.acts, position)
        if problem is not None:
            yield Difference("I10", where, problem)
        standing = standing.after(act)
        deleted |= {act.bundle} if act.kind == "delete" else set()


def _impossible(act: rows.Act, standing: Standing, deleted: set[str]) -> bool:
    """Tell whether an act cannot have followed, or would have changed nothing and so left no row."""
    retired, disabled = act.bundle in standing.retired, act.bundle in standing.disabled
    held = standing.active.get((act.scenario, act.role)) == act.bundle
    barred = {
        "activate": retired or disabled or held,
        "disable": retired or disabled,
        "enable": retired or not disabled,
        "retire": retired,
        "delete": act.bundle in deleted,
    }
    return barred.get(act.kind, True)


def _overstepped(act: rows.Act, standing: Standing, acts: Sequence[rows.Act], position: int) -> str | None:
    """Say why what acts by itself, or by force, had no right to."""
    if act.forced and (act.kind != "activate" or act.by in MECHANISMS):
        return f"only an operator forces, and only an activation, not {act.by}"
    if MECHANISMS.get(act.by, act.kind) != act.kind:
        return f"{act.by} never does that"
    if act.by == ROLLBACK:
        slot = (act.scenario, act.role)
        if act.bundle not in behind(acts[:position], slot, standing.active.get(slot)):
            return "a rollback leads only to what the slot held before"
    return None


def activations(evidence: Evidence) -> Iterator[Difference]:
    """No bundle became its slot's without a verdict, unless by force or by going back (I10)."""
    promoted = {row.bundle for row in evidence.verdicts if row.outcome == "promote"}
    for act in evidence.acts:
        trusted = act.forced or act.by == ROLLBACK or act.bundle in promoted
        if act.kind == "activate" and not trusted:
            yield Difference("I10", f"activate {act.bundle[:12]}", "no verdict promotes it, and nobody forced it")


def policies(evidence: Evidence) -> Iterator[Difference]:
    """Policies are numbered one after another, and each changes something (I10)."""
    before: rows.Json = {}
    for number, change in enumerate(evidence.policies, start=1):
        if change.number != number:
            yield Difference("I10", f"policy {change.number}", f"it stands where policy {number} should")
        if change.settings == before:
            yield Difference("I10", f"policy {change.number}", "it changes nothing")
        before = change.settings


def switches(evidence: Evidence) -> Iterator[Difference]:
    """Each switch of a harness changes something (I10)."""
    for scenario, states in _switched_off(evidence.switches).items():
        for number, (before, after) in enumerate(pairwise(states), start=1):
            if before == after:
                yield Difference("I10", f"harness {scenario}, switch {number}", "it changes nothing")


def _switched_off(switches: Sequence[rows.HarnessSwitch]) -> Mapping[str, Sequence[frozenset[str]]]:
    """Return by scenario what was switched off, from nothing at first to what is now."""
    states: dict[str, list[frozenset[str]]] = defaultdict(lambda: [frozenset()])
    for switch in switches:
        before, change = states[switch.scenario][-1], frozenset((switch.validator,))
        states[switch.scenario].append(before - change if switch.enabled else before | change)
    return states
