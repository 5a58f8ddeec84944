"""I7, I8: scores and datasets are what their sources make them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from statistics import fmean

from stepdown_machine import operations as op
from stepdown_machine.findings import Finding
from stepdown_machine.invariants import logs
from stepdown_machine.model import Model, grid_ctf
from stepdown_machine.observed import Generation, Step
from stepdown_machine.semantics import eligible, final_score
from stepdown_machine.transition import StepReview, Transition
from stepdown_machine.values import Dataset, Imported, Record

ROUNDING = 6e-5
"""Half of the fourth decimal, and a little for the binary fraction."""


def scores_replay(transition: Transition, _model: Model, _reviews: tuple[StepReview, ...]) -> Iterator[Finding]:
    """I7: a stored score is what the scenario gives for the stored reply and seeds.

    Blind to a reply that is not the one that was given (I4).
    """
    strange = transition.description.strange
    for step in transition.steps:
        unknown = step.purpose == "live" and step.seed in strange
        if unknown and step.score is not None:
            yield Finding(
                "I7", "no score", f"{step.step} stored {step.score}", "its question is no case of the scenario"
            )
        if unknown or not transition.description.scores:
            continue
        if step.role != "competitor" or step.outcome != "served":
            continue
        for seed, stored in step.matches:
            due = grid_ctf.score(step.text, seed)
            if abs(due - stored) > ROUNDING:
                yield Finding("I7", f"{due} on seed {seed}", f"{step.step} stored {stored}", f"reply {step.text}")
        mean = fmean(score for _, score in step.matches) if step.matches else None
        if mean is None or step.score is None or abs(mean - step.score) > ROUNDING:
            yield Finding("I7", f"score {mean}", f"{step.step} stored {step.score}", "the mean of its matches")


def export_is_a_function_of_rows(
    transition: Transition, model: Model, _reviews: tuple[StepReview, ...]
) -> Iterator[Finding]:
    """I8: same rows, same bytes; exactly the rows that pass, each with its own facts; nothing of any other row.

    Blind to rows that are wrong themselves (I4, I7).
    """
    decided = Counter((each.run, each.index) for each in transition.seen.generations)
    for generation in transition.generations:
        if decided[generation.run, generation.index] > 1:
            yield Finding("I8", "one decision", f"{generation} is another", "a generation is decided once")
        yield from _gate(generation, transition)
        if transition.description.scores:
            yield from _decided(generation, transition)
    for operation, answer in transition.answered():
        if isinstance(operation, op.Export) and isinstance(answer, Dataset):
            rows = eligible(transition.seen, operation, transition.description, model)
            yield from logs.exported(operation, answer, transition.description, model)
            yield from _membership(answer, rows, transition)
            yield from _leaks(answer, rows, transition)
            yield from _sameness(operation, answer, rows, transition)
        if isinstance(operation, op.Import) and isinstance(answer, Imported):
            yield from logs.brought_in(operation, answer, transition.description, model)
    shown = dict(transition.seen.datasets)
    for dataset, digest in model.datasets.items():
        if dataset not in model.tampered and shown.get(dataset) != digest:
            yield Finding("I8", f"{dataset} keeps digest {digest}", f"{shown.get(dataset)}", "nobody touched its files")


def _gate(generation: Generation, transition: Transition) -> Iterator[Finding]:
    """Check what a gate kept: the best of an advancing generation, nothing of any other."""
    rows = [step for step in transition.seen.steps if (step.run, step.generation) == (generation.run, generation.index)]
    scores = {step.step: step.score for step in rows if step.role == "competitor" and step.score is not None}
    best = {step for step, score in scores.items() if score == max(scores.values())}
    right = len(generation.kept) == 1 and best >= set(generation.kept)
    if not (right if generation.gate == "advance" else not generation.kept):
        says = f"one of {sorted(best)} kept" if generation.gate == "advance" else "nothing kept"
        yield Finding("I8", says, f"kept {generation.kept}", f"{generation.run} decided {generation.gate}")


def _decided(generation: Generation, transition: Transition) -> Iterator[Finding]:
    """Check a gate's word against the best before: only what is better advances, and the first of several equals is kept."""
    description, run = transition.description, generation.run
    legal = [
        step
        for step in transition.seen.steps
        if step.run == run and step.role == "competitor" and step.score is not None
    ]
    legal = [step for step in legal if description.objectors is None or not description.objectors(step.text)]
    now = [step for step in legal if step.generation == generation.index]
    before = max((step.score or 0.0 for step in legal if step.generation < generation.index), default=None)
    best = max(now, key=lambda step: step.score or 0.0, default=None)
    if best is None or best.score is None:
        due: tuple[str, tuple[str, ...]] = "retry", ()
    elif before is None or best.score > before:
        due = "advance", (best.step,)
    elif description.astray is not None and best.score < before - description.astray:
        due = "rollback", ()
    else:
        due = "retry", ()
    if (generation.gate, generation.kept) != due:
        scores = [(step.step, step.score) for step in now]
        yield Finding("I8", f"{due}", f"{generation.gate}, {generation.kept}", f"{scores} after {before}")


def _membership(dataset: Dataset, rows: list[Step], transition: Transition) -> Iterator[Finding]:
    by_id = {step.step: step for step in rows}
    records = [record for record in dataset.records if record.served != logs.ELSEWHERE]
    if strangers := sorted({record.step for record in records} - by_id.keys()):
        steps = {step.step: step for step in transition.seen.steps}
        scores = {each: final_score(transition.seen, steps[each]) for each in strangers if each in steps}
        because = f"these do not pass; the last word on what they were worth: {scores}"
        yield Finding("I8", "only rows that pass the filters", f"{dataset.dataset} also holds {strangers}", because)
    if lost := {step.learned for step in rows} - {record.completion for record in records}:
        yield Finding("I8", "every row that passes the filters", f"missing {sorted(lost)}", "these pass all of them")
    if twice := sorted(step for step, count in Counter(record.step for record in records).items() if count > 1):
        yield Finding("I8", "a row at most once", f"{dataset.dataset} holds {twice} again", "it would be learned twice")
    for record in records:
        step = by_id.get(record.step)
        facts = (record.completion, record.score, record.served)
        if step is not None and facts != (due := (step.learned, final_score(transition.seen, step), step.served)):
            yield Finding("I8", f"record {due}", f"record {facts}", f"row {step.step} says so")
        if step is not None:
            yield from _provenance(record, step, transition)


def _provenance(record: Record, step: Step, transition: Transition) -> Iterator[Finding]:
    """Check what a line says of where it comes from, as far as it does."""
    teaching, seen = transition.description.teaching, transition.seen
    texts = {0: teaching.first if teaching else None, **{lesson.version: lesson.text for lesson in seen.lessons}}
    kept = any(step.step in each.kept for each in seen.generations)
    models = {each.model for each in step.attempts if each.provider == step.served and each.error is None}
    due: dict[str, set[object]] = {
        "kept": {kept},
        "knowledge": {step.knowledge},
        "taught": {texts.get(step.knowledge)},
        "model": {*models},
    }
    for name, values in due.items():
        if (said := getattr(record, name)) is not None and said not in values:
            yield Finding("I8", f"{name} {sorted(map(str, values))}", f"{said}", f"row {step.step} says so")


def _leaks(dataset: Dataset, rows: list[Step], transition: Transition) -> Iterator[Finding]:
    inside = {step.learned for step in rows} | {r.completion for r in dataset.records if r.served == logs.ELSEWHERE}
    # A reply that is JSON is quoted inside a line that is JSON.
    text = dataset.text + dataset.text.replace('\\"', '"')
    for step in transition.seen.steps:
        if step.learned and step.role == "competitor" and step.learned not in inside and step.learned in text:
            yield Finding(
                "I8", "no trace of an excluded row", f"{dataset.dataset} holds {step.learned}", f"of {step.step}"
            )
    sides = [{_content(r, transition) for r in dataset.records if r.split == side} for side in ("train", "valid")]
    if both := sides[0] & sides[1]:
        yield Finding("I8", "no content in both splits", f"{min(both)}", "valid must be unseen")
    if {record.split for record in dataset.records} - {"train", "valid"}:
        yield Finding("I8", "splits train and valid", f"{sorted({r.split for r in dataset.records})}", "there are two")


def _content(record: Record, transition: Transition) -> tuple[str, ...]:
    """Return what of a record must be unseen where a model is validated."""
    of = {"answer": (record.completion,), "question": (record.prompt,), "both": (record.prompt, record.completion)}
    return of[transition.description.splits]


def _sameness(asked: op.Export, dataset: Dataset, rows: list[Step], transition: Transition) -> Iterator[Finding]:
    lines = [(record.step, record.score) for record in dataset.records if record.served == logs.ELSEWHERE]
    source = asked, frozenset([*((step.step, final_score(transition.seen, step)) for step in rows), *lines])
    earlier = transition.memory.exports.get(source, dataset.digest)
    if earlier != dataset.digest:
        yield Finding("I8", f"digest {earlier}", f"digest {dataset.digest}", "the same rows were exported before")
