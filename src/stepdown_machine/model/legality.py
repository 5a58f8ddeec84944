"""Which answers are legal to what an operator asks for, in a world."""

from dataclasses import replace

from stepdown_machine.model.legal_answers import LegalAnswers, refused
from stepdown_machine.model.limits import Limits
from stepdown_machine.model.registered import DAMAGED, GONE, OWN
from stepdown_machine.model.registry import Model

UNTUNABLE = {"gone": "unknown-base", "changed": "base-mismatch"}
"""What is no base, and how a tuning of it is refused."""


def pruning(model: Model, bundle: str | None, keep: int | None) -> LegalAnswers:
    """Judge pruning: of one bundle only if nobody needs it, and only once."""
    registered = model.bundles.get(bundle or "")
    if bundle is None:
        return LegalAnswers()
    if registered is None:
        return refused("unknown-bundle", because="no such bundle was registered")
    if registered.deleted:
        return refused("bundle-retired", because=f"{bundle} was deleted before")
    if bundle in model.needed(keep):
        return refused("bundle-needed", because=f"{bundle} is active, next on the way back, or was asked by a run")
    return LegalAnswers(True, frozenset({"bundle-needed"} if bundle in model.unsure and keep is None else ()))


def promotion(model: Model, bundle: str) -> LegalAnswers:
    """Judge promoting: what may not be activated may not be compared, and nothing that must not reach the frontier."""
    due, registered = activation(model, bundle), model.bundles.get(bundle)
    if due.accept and registered is not None and registered.text != model.text:
        due = refused("bundle-incompatible", because=f"{bundle} was trained with another text")
    if due.accept and registered is not None and registered.mute:
        due = refused("local-load-failed", because=f"{bundle} cannot be loaded")
    if model.limits.frontier_allowed("competitor"):
        return due
    kinds = frozenset() if due.accept else due.kinds
    return LegalAnswers(False, kinds | {"frontier-forbidden"}, "the policy keeps the competitor from the frontier")


def activation(model: Model, bundle: str, *, proven: bool = False) -> LegalAnswers:
    """Judge activating: only a registered, enabled, whole bundle. A refusal may name any ground that is true."""
    due = _activation(model, bundle)
    if not proven or not due.accept or model.slots.get("competitor") == bundle:
        return due
    verdict = model.verdicts.get(bundle, ("hold", model.terms))
    if verdict is None:
        return replace(due, kinds=due.kinds | {"not-promoted"})
    if verdict == ("promote", model.terms):
        return due
    return refused("not-promoted", *due.kinds, because=f"the newest verdict on {bundle} is {verdict}")


def _activation(model: Model, bundle: str) -> LegalAnswers:
    registered = model.bundles.get(bundle)
    if registered is None:
        return refused("unknown-bundle", because="no such bundle was registered")
    grounds = {
        "bundle-retired": registered.retired,
        "bundle-disabled": not registered.enabled,
        "bundle-absent": registered.files == GONE,
        "bundle-integrity": registered.files == DAMAGED,
        "unknown-bundle": registered.deleted,
        "base-mismatch": not model.based(registered),
    }
    kinds = [kind for kind, applies in grounds.items() if applies]
    if kinds:
        return refused(*kinds, because=f"{bundle} is {', '.join(kinds)}")
    if not model.fits(registered):
        # The contract leaves open whether one that does not belong may be activated: it serves nobody either way.
        return LegalAnswers(True, frozenset({"bundle-incompatible"}), f"{bundle} does not fit")
    return LegalAnswers(because=f"{bundle} is registered, enabled and whole")


def switching(model: Model, bundle: str) -> LegalAnswers:
    """Judge enabling and disabling: any bundle that is not retired, changed or not."""
    registered = model.bundles.get(bundle)
    if registered is None:
        return refused("unknown-bundle", because="no such bundle was registered")
    if registered.deleted:
        return refused("bundle-retired", "unknown-bundle", because=f"{bundle} was deleted")
    if registered.retired:
        return refused("bundle-retired", because="retirement is final")
    return LegalAnswers()


def removal(model: Model, bundle: str) -> LegalAnswers:
    """Judge retiring and deleting: any registered bundle; doing it again may be a no-op or a refusal."""
    registered = model.bundles.get(bundle)
    if registered is None:
        return refused("unknown-bundle", because="no such bundle was registered")
    if registered.deleted:
        return LegalAnswers(True, frozenset({"bundle-retired", "unknown-bundle"}), f"{bundle} was deleted before")
    if registered.retired:
        return LegalAnswers(True, frozenset({"bundle-retired"}), f"{bundle} was retired before")
    return LegalAnswers()


def evaluation(model: Model, bundle: str) -> LegalAnswers:
    """Judge measuring: any registered bundle that is whole and answers; one that may serve nobody may be refused for that."""
    registered = model.bundles.get(bundle)
    if registered is None:
        return refused("unknown-bundle", because="no such bundle was registered")
    idle = {
        "bundle-retired": registered.retired,
        "unknown-bundle": registered.deleted,
        "bundle-disabled": not registered.enabled,
        "bundle-incompatible": not model.fits(registered),
    }
    spared = frozenset(kind for kind, applies in idle.items() if applies)
    grounds = {
        "bundle-absent": registered.files == GONE,
        "bundle-integrity": registered.files == DAMAGED,
        "base-mismatch": not model.based(registered),
        "local-load-failed": registered.mute,
    }
    if kinds := [kind for kind, applies in grounds.items() if applies]:
        return refused(*kinds, *spared, because=f"{bundle} is {', '.join(kinds)}")
    return LegalAnswers(True, spared)


def training(model: Model, dataset: str, plan: str, records: int | None, least: int) -> LegalAnswers:
    """Judge training a plan from a dataset with so many records."""
    if dataset not in model.datasets:
        return refused("unknown-dataset", because="no such dataset was exported")
    if dataset in model.tampered:
        return refused("dataset-malformed", because="its files were altered after the export")
    if model.written_with.get(dataset, OWN) != model.text:
        return refused("dataset-malformed", because="its questions were asked with another text")
    if records is not None and records < least:
        return refused("dataset-too-small", because=f"{records} records, training needs {least}")
    if plan in model.tuned and model.base in UNTUNABLE:
        return refused(UNTUNABLE[model.base], because=f"its base is {model.base}")
    return LegalAnswers()


def governing(limits: Limits, most: dict[str, int]) -> LegalAnswers:
    """Judge a new policy: every value in range, or nothing of it."""
    if wrong := limits.faults(most):
        return refused("policy-out-of-range", because=f"out of range: {', '.join(wrong)}")
    return LegalAnswers()
