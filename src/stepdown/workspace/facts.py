"""Gather the facts of one moment: rows, the bundle's directory as it is, the clock. Deciding is for the gates."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from stepdown.bundles.disk import Condition, Look
from stepdown.bundles.manifest import Manifest
from stepdown.history import reader, rows, unfinished
from stepdown.routing.breaker import Breaker
from stepdown.routing.canary import draw
from stepdown.routing.facts import Facts
from stepdown.routing.policy import Policy
from stepdown.scenarios import prompt
from stepdown.scenarios.harness import coverage
from stepdown.scenarios.protocol import Scenario
from stepdown.scenarios.wording import Wording, wording
from stepdown.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Scene:
    """A slot as it is at one moment.

    Attributes:
        facts: For the gates.
        policy: As it is now, and its number.
        validators: Switched on now.
        look: At the slot's bundle.
        at: The moment, by the workspace's clock.
        misfit: What the slot's bundle was made for instead; empty when it fits, or there is none.
    """

    facts: Facts
    policy: Policy
    policy_number: int
    validators: frozenset[str]
    look: Look
    at: datetime
    misfit: str = ""

    @property
    def manifest(self) -> Manifest | None:
        """What the slot's bundle promises, when it is whole."""
        return self.look.manifest

    @property
    def problem(self) -> str:
        """Why the slot's bundle cannot be used as it lies there; empty when it can, or there is none."""
        if self.facts.bundle is None:
            return ""
        return self.look.problem or (
            f"its base cannot be used: {self.look.base_problem}" if not self.facts.based else self.misfit
        )


@dataclass(frozen=True, slots=True)
class SlotLook:
    """A slot's bundle, and a look at it.

    Attributes:
        bundle: None for an empty slot.
        look: What it showed.
    """

    bundle: rows.Bundle | None
    look: Look

    def holds(self, workspace: Workspace, connection: Connection, scenario: Scenario, role: str) -> bool:
        """Tell whether the slot still holds this bundle, and no file of it changed since."""
        if reader.slot_bundle(connection, scenario.name, role) != self.bundle:
            return False
        return self.bundle is None or workspace.unchanged(self.bundle.id, self.look)


def look_at(workspace: Workspace, connection: Connection, scenario: Scenario, role: str) -> SlotLook:
    """Look at the bundle that a slot holds; every byte of a large one may have to be read."""
    bundle = reader.slot_bundle(connection, scenario.name, role)
    return SlotLook(bundle, workspace.look(bundle.id) if bundle else Look(Condition.ABSENT))


def look_back(workspace: Workspace, connection: Connection, scenario: Scenario, role: str) -> SlotLook | None:
    """Return what a look would say now, where that is remembered; None where it would have to read bytes."""
    bundle = reader.slot_bundle(connection, scenario.name, role)
    look = workspace.remembered(bundle.id) if bundle else Look(Condition.ABSENT)
    return SlotLook(bundle, look) if look is not None else None


def look_ahead(workspace: Workspace, scenario: Scenario, role: str) -> SlotLook:
    """Look at the bundle that a slot holds, in no transaction."""
    with workspace.reading() as connection:
        bundle = reader.slot_bundle(connection, scenario.name, role)
    return SlotLook(bundle, workspace.look(bundle.id) if bundle else Look(Condition.ABSENT))


def gather(
    workspace: Workspace,
    connection: Connection,
    scenario: Scenario,
    role: str,
    seed: int,
    seen: SlotLook | None = None,
    *,
    knowledge: int | None = None,
) -> Scene:
    """Return the facts about a slot as they are now.

    Args:
        workspace: Where to look.
        connection: Of the transaction that the decision belongs to.
        scenario: The slot's scenario.
        role: The slot's role.
        seed: Of the step, for the canary's draw.
        seen: A look at the slot's bundle that still holds; by default it is looked at now.
        knowledge: Version in the step's prompt; by default the one that a prompt would have now.
    """
    number, policy = workspace.policy(connection)
    validators = workspace.validators(connection, scenario)
    seen = seen or look_at(workspace, connection, scenario, role)
    bundle, look = seen.bundle, seen.look
    if knowledge is None:
        knowledge = workspace.knowledge(connection, scenario.name).version
    breaker = breaker_of(connection, bundle.id) if bundle else Breaker()
    now, words = workspace.now(), wording(scenario, role)
    misfit = unfit(look.manifest, scenario, role, words) if look.manifest is not None else ""
    facts = Facts(
        role=role,
        bundle=bundle.id if bundle else None,
        present=look.condition is not Condition.ABSENT,
        enabled=bundle is not None and not is_disabled(connection, bundle.id),
        whole=look.condition in (Condition.WHOLE, Condition.NEWER),
        compatible=look.manifest is not None and not misfit,
        age=(now - bundle.trained_at).total_seconds() if bundle else None,
        coverage=coverage(scenario, validators),
        breaker=breaker.state(policy, now),
        probing=breaker.opened_at is not None and bundle is not None and _probing(workspace, connection, bundle.id),
        draw=draw(seed),
        based=not look.base_problem,
        prompts=words.named,
        **_allowed(policy, role),
        **_measured(workspace, connection, scenario, bundle, knowledge),
    )
    return Scene(facts, policy, number, validators, look, now, misfit)


def is_disabled(connection: Connection, bundle: str) -> bool:
    """Tell whether a bundle is switched off."""
    act = reader.last_act(connection, bundle, "disable", "enable")
    return act is not None and act.kind == "disable"


def breaker_of(connection: Connection, bundle: str) -> Breaker:
    """Return a bundle's breaker as its last local attempt left it."""
    last = reader.last_local_attempt(connection, bundle)
    return Breaker.from_json(last.breaker) if last is not None and last.breaker is not None else Breaker()


def unfit(manifest: Manifest, scenario: Scenario, role: str, words: Wording) -> str:
    """Return what a bundle was made for instead of this scenario, role and prompts as they are; empty when for these."""
    if (manifest.scenario, manifest.role) != (scenario.name, role):
        return f"it was made for {manifest.scenario}/{manifest.role}"
    if manifest.prompt_format != prompt.FORMAT:
        return f"it was made for prompt format {manifest.prompt_format}, and prompts have format {prompt.FORMAT}"
    if not words.is_of(manifest.prompts):
        return "the prompt's text is another than the one that it was trained with"
    return ""


def _allowed(policy: Policy, role: str) -> dict[str, Any]:
    """Return what the policy says to the gates."""
    limits = {name: getattr(policy, name) for name in LIMITS}
    return {**limits, "local_roles": policy.eligible_roles, "frontier_allowed": policy.allows_frontier(role)}


LIMITS = ("mode", "min_score", "min_valid", "min_coverage", "max_age", "max_lessons", "shadow", "canary")


def _measured(
    workspace: Workspace, connection: Connection, scenario: Scenario, bundle: rows.Bundle | None, knowledge: int
) -> dict[str, Any]:
    """Return what the evaluation that counts says of a bundle, and how many lessons a prompt's knowledge is away from it."""
    evaluation = (
        reader.evaluation(connection, bundle.id, workspace.terms(scenario, bundle.role).digest) if bundle else None
    )
    if evaluation is None:
        return {"evaluated": False, "score": None, "valid": None, "lessons": None}
    away = abs(knowledge - evaluation.knowledge)
    return {"evaluated": True, "score": evaluation.lower, "valid": evaluation.valid, "lessons": away}


def _probing(workspace: Workspace, connection: Connection, bundle: str) -> bool:
    """Tell whether a living process is asking this bundle right now; a dead one's call is no probe."""
    return any(
        call.bundle == bundle and not call.shadow and workspace.session.alive(call.session)
        for call in unfinished.calls(connection)
    )
