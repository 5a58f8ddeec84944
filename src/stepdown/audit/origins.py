"""Compare what history says of a bundle and of a dataset with what each says of itself: its id is the digest of that. Pure."""

from collections.abc import Iterator

from stepdown.audit.witnesses import Difference, Evidence, compare, derived
from stepdown.digest import digest


def bundles(evidence: Evidence) -> Iterator[Difference]:
    """Compare every registration with the manifest that its id is the digest of (I9).

    Staleness hangs on when it was trained. A bundle in the slot of another scenario or role is no untrue history: it is
    `bundle-incompatible`, and routing says so at every step.
    """
    for bundle in evidence.bundles:
        manifest = evidence.shelf.bundles.get(bundle.id)
        if manifest is not None:
            promised = {
                "job": manifest.job,
                "dataset": manifest.dataset,
                "weights_digest": manifest.weights_digest,
                "trained_at": manifest.trained_at,
            }
            yield from compare("I9", f"bundle {bundle.id[:12]}", bundle, promised, "its manifest")
    for row in evidence.evaluations:
        scenario = {each.id: each.scenario for each in evidence.bundles}[row.bundle]
        if row.terms.get("scenario") != scenario:
            yield Difference("I9", row.id, f"its terms are not of {scenario}, which its bundle was made for")


def losses(evidence: Evidence) -> Iterator[Difference]:
    """Compare the losses of every training with what its bundle's manifest keeps of them (I9)."""
    curves: dict[str, list[list[float]]] = {bundle.id: [] for bundle in evidence.bundles}
    for point in evidence.losses:
        curves[point.bundle].append([point.iteration, point.loss])
    for bundle, curve in curves.items():
        manifest = evidence.shelf.bundles.get(bundle)
        if manifest is not None and manifest.curve != (digest(curve) if curve else ""):
            yield Difference(
                "I9", f"bundle {bundle[:12]}", "its losses are not those that its manifest keeps the digest of"
            )


def datasets(evidence: Evidence) -> Iterator[Difference]:
    """Compare every export with the manifest that its digest is of (I8)."""
    for dataset in evidence.datasets:
        where = f"dataset {dataset.digest[:12]}"
        manifest = evidence.shelf.datasets.get(dataset.digest)
        if manifest is not None:
            yield from derived("I8", where, compare("I8", where, dataset, _as_row(manifest), "its manifest"))
            continue
        row = {"scenario": dataset.scenario, "filters": dataset.filters, "records": dataset.records}
        for named, stray in evidence.shelf.strays.items():
            if _as_row(stray) == row:
                yield Difference(
                    "I8", where, f"it is not there, and {named[:12]}, which no row names, is just such an export"
                )


def _as_row(manifest: object) -> dict[str, object]:
    """Return what a row says as well, of whatever a manifest holds."""
    stored = manifest if isinstance(manifest, dict) else {}
    files = stored.get("files")
    listed = files if isinstance(files, dict) else {}
    counts = [listed[name].get("records") for name in ("train.jsonl", "valid.jsonl") if name in listed]
    records = sum(count for count in counts if isinstance(count, int))
    return {"scenario": stored.get("scenario"), "filters": stored.get("filters"), "records": records}
