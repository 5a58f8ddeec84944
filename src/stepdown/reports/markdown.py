"""A story as Markdown."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from stepdown.history import rows
from stepdown.reports.events import act_line, judged_line, verdict_line
from stepdown.reports.story import SHADOW, Provenance, Spend, Story, unjudged

LARGE = 1e15
"""A larger number is shown by its power of ten."""
REPLY, REFUSED = 100, 300
"""Characters that are shown of a reply that was used, and of one that was not."""
BLOCKS, WIDTH = "▁▂▃▄▅▆▇█", 40
"""What a curve is drawn with, and at most how many of them."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a report, before anybody says how it is shown.

    Attributes:
        head: Names of the columns.
        body: Values of the cells.
    """

    head: Sequence[str]
    body: Iterable[Sequence[object]]


Block = str | Table
"""What a report is made of: lines of Markdown, and tables."""


def blocks(story: Story, advised: Callable[[str], str] = str) -> Iterator[Block]:
    """Yield the report of a run.

    Args:
        story: The run's, with sentences that its reader can follow already.
        advised: Makes the report's own sentences such.
    """
    yield from _head(story, advised)
    for section in SECTIONS:
        yield from section(story)


def render(story: Story, advised: Callable[[str], str] = str) -> str:
    """Return the report of a run as Markdown, see `blocks`."""
    return "\n".join(
        line
        for block in blocks(story, advised)
        for line in ([block] if isinstance(block, str) else table(block.head, block.body))
    )


def table(head: Sequence[str], body: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a table; a bar or a line break in a cell cannot break it."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in body:
        yield f"| {' | '.join(_cell(value) for value in row)} |"
    yield ""


def _cell(value: object) -> str:
    if value is None:
        return "–"
    text = f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) and abs(value) < LARGE else str(value)
    # The backslash first: one that stands before a bar would undo the bar's own. What a terminal would obey is a space.
    shown = " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())
    return "".join(c if c.isprintable() else " " for c in shown)


def _short(text: str | None, length: int) -> str | None:
    """Return the beginning of a reply, in one line; `--json` has it whole."""
    if text is None:
        return None
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _head(story: Story, advised: Callable[[str], str]) -> Iterator[Block]:
    run, ending = story.run, story.ending
    outcome = f"{ending.outcome} at {ending.at:%Y-%m-%d %H:%M:%S} UTC" if ending else "under way"
    yield f"# {run.id}: {run.scenario}"
    yield ""
    yield f"Started {run.at:%Y-%m-%d %H:%M:%S} UTC, {outcome}. Seed {run.seed}, frontier {_cell(run.frontier)}."
    if run.purpose == rows.COMPARISON:
        yield f"A comparison for a promotion, on at most {run.candidates} held-out seeds."
    elif run.purpose == rows.EVALUATION:
        yield f"A model judged a bundle's held-out answers: {len(story.steps)}."
    elif run.purpose == rows.LIVE:
        yield f"Questions that somebody asked one at a time: {len(story.steps)}."
    else:
        yield f"{run.generations} generations of {run.candidates} candidates."
    for again in story.resumed:
        yield f"It had ended before it was done, and was resumed at {again.at:%Y-%m-%d %H:%M:%S} UTC."
    if ending and ending.error:
        yield f"It failed: {_cell(ending.error)}"
    # A run may have failed at its very end, with nothing left to do but that.
    undone = ending is not None and (ending.outcome != "failed" or len(story.generations) < run.generations)
    if ending and ending.outcome != "completed" and undone and run.purpose == rows.WORK:
        yield advised(f"`stepdown run --resume {run.id}` does the rest of it.")
    elif ending and ending.outcome != "completed" and run.purpose == rows.COMPARISON:
        yield advised(f"`stepdown promote BUNDLE --resume {run.id}`, with the same limits, does the rest of it.")
    yield ""


def _verdict(story: Story) -> Iterator[Block]:
    verdict = story.verdict
    if verdict is None:
        return
    yield "## Verdict"
    yield ""
    yield f"**{verdict.outcome}** for bundle {verdict.bundle[:12]}, asked for by {_cell(verdict.by)}: {verdict_line(verdict)}."
    shown, champion = verdict.evidence, verdict.evidence["to_champion"]
    if champion is not None:
        yield f"To the champion {champion['mean']:+.4f}, from {champion['lower']:+.4f} to {champion['upper']:+.4f}."
    rate = shown["trial"]["error_rate"]
    yield f"A false verdict comes with a chance of at most {shown.get('share', rate):.2%} each way."
    if "share" in shown:
        yield f"That is its share of the {rate:.0%} that all comparisons of its slot may err together."
    covered, wanted = _cell(shown["coverage"]), _cell(shown["min_coverage"])
    yield f"Policy {verdict.policy} asked for {shown['min_valid']:.0%} legal replies and coverage {wanted}; it was {covered}."
    yield ""


def _trajectory(story: Story) -> Iterator[Block]:
    if not story.generations:
        return
    yield "## Trajectory"
    yield ""
    head = ("generation", "best", "score", "decision", "champion", "champion's score")
    body = ((g.number, g.best, g.score, g.decision, g.champion, g.champion_score) for g in story.generations)
    yield Table(head, body)


def _served(story: Story) -> Iterator[Block]:
    yield "## Who served"
    yield ""
    if story.local_share is not None:
        eligible = {role for step in story.steps for role in step.facts.get("local_roles", ())}
        others = sorted({step.role for step in story.steps} - eligible)
        yield f"Local served {story.local_share:.0%} of the served answers of {', '.join(sorted(eligible))}."
        if others:
            yield f"The policy lets it serve no other role: {', '.join(others)} is the frontier's."
        yield ""
    served = Counter((step.role, step.served or step.outcome) for step in story.steps)
    yield Table(("role", "served by", "steps"), ((*who, count) for who, count in sorted(served.items())))
    if story.unjudged:
        yield _cell(unjudged(story))
        yield ""
    if not story.reasons:
        return
    yield "## Why local did not"
    yield ""
    reasons = Counter((step.reason, step.role) for step in story.steps if step.reason is not None)
    yield Table(("reason", "role", "steps"), ((*why, count) for why, count in sorted(reasons.items())))


def _steps(story: Story) -> Iterator[Block]:
    yield "## Steps"
    yield ""
    head = ("step", "role", "requested", "attempted", "served", "reason", "error", "score", "shadow", "reply")
    attempted: dict[str, list[str]] = {}
    shadows: dict[str, str] = {}
    for attempt in story.attempts:
        if attempt.shadow:
            scored = f", {_cell(attempt.score)}" if attempt.score is not None else ""
            shadows[attempt.step] = f"{_outcome(attempt)}{scored}"
        else:
            attempted.setdefault(attempt.step, []).append(f"{attempt.target} {_outcome(attempt)}")
    asked = {step: ", ".join(each) for step, each in attempted.items()}
    body = (
        (s.id, s.role, s.requested, asked.get(s.id), s.served, s.reason, s.error, s.score, shadows.get(s.id), reply)
        for s, reply in ((step, _short(step.reply, REPLY)) for step in story.steps)
    )
    yield Table(head, body)


def _refused(story: Story) -> Iterator[Block]:
    """Show what could not be used: what came, from whom, and every objection to it."""
    unused = [attempt for attempt in story.attempts if not attempt.accepted]
    if not unused:
        return
    yield "## What could not be used"
    yield ""
    body = (
        (a.call, a.requested_provider, a.error_type, "; ".join(a.refusals) or a.error, _short(a.reply, REFUSED))
        for a in unused
    )
    yield Table(("call", "asked", "error", "why", "reply"), body)


def _outcome(attempt: rows.Attempt) -> str:
    outcome = "ok" if attempt.accepted else attempt.error_type
    return f"{outcome}{' (recovered)' if attempt.recovered else ''}"


def _spends(story: Story) -> Iterator[Block]:
    yield "## Tokens, money, time"
    yield ""
    head = ("provider", "as", "calls", "failed", "tokens in", "tokens out", "US$", "median s", "95 % s")
    yield Table(head, map(_spend, story.spends))


def _spend(spend: Spend) -> tuple[object, ...]:
    middle, high = spend.latency or (None, None)
    cost = f"{spend.cost:.6f}" if spend.unpriced == 0 else f"{spend.cost:.6f} + {spend.unpriced} unpriced"
    cost = "not priced" if spend.target == SHADOW else cost
    uncounted = f" ({spend.uncounted} not counted)" if spend.uncounted else ""
    tokens = (f"{spend.input_tokens}{uncounted}", f"{spend.output_tokens}{uncounted}")
    return (spend.provider, spend.target, spend.attempts, spend.failed, *tokens, cost, middle, high)


def _savings(story: Story) -> Iterator[Block]:
    for role, saved in story.savings.items():
        if saved is None:
            yield f"Savings of {role}: unknown, since no step of it by this frontier has a known cost."
        else:
            yield (
                f"Savings of {role}: US$ {saved.saved:.6f} on {saved.steps} steps, against US$ {saved.baseline:.6f} a "
                f"step, measured on the last {saved.measured} that this frontier served."
            )
        yield ""


def _bundles(story: Story) -> Iterator[Block]:
    yield "## Bundles asked"
    yield ""
    if not story.bundles:
        yield "None."
        yield ""
    for provenance in story.bundles:
        yield from _bundle(provenance)


def _bundle(provenance: Provenance) -> Iterator[Block]:
    bundle, evaluation, promise = provenance.bundle, provenance.evaluation, provenance.promise
    yield f"- **{bundle.id[:12]}** for {bundle.scenario} {bundle.role}, trained {bundle.trained_at:%Y-%m-%d %H:%M:%S} UTC"
    yield f"    - weights {bundle.weights_digest[:12]}, dataset {bundle.dataset[:12]}, job {bundle.job[:12]}"
    if evaluation is not None:
        yield (
            f"    - {evaluation.id}: mean {_cell(evaluation.mean)}, lower bound {_cell(evaluation.lower)}, "
            f"legal {_cell(evaluation.valid)} over {evaluation.seeds} held-out seeds"
        )
        if judged := judged_line(evaluation):
            yield f"    - judged by a model {judged}"
    if provenance.outdated:
        yield f"    - {provenance.outdated}"
    if provenance.verdict is not None:
        yield f"    - verdict: {provenance.verdict.outcome}, {verdict_line(provenance.verdict)}"
    for act in provenance.acts:
        yield f"    - {act.at:%Y-%m-%d %H:%M:%S} UTC: {_cell(act_line(act))}"
    if promise is None:
        yield "    - its directory is gone or not whole: nothing more can be said of it"
    else:
        yield f"    - plan {promise['plan']}"
        if promise["losses"].get("untuned") is not None:
            losses = promise["losses"]
            before, after = _cell(losses["untuned"]), _cell(losses["valid"])
            yield f"    - validation loss {before} before the base was tuned and {after} after, in nats per token"
        if provenance.losses:
            yield f"    - {_curve(provenance.losses)}"
        yield f"    - backend {promise['backend']}"
    yield ""


def _curve(points: Sequence[rows.Loss]) -> str:
    """Say how the loss of a training went, and draw it in a line of blocks, each the mean of the points that it stands for."""
    losses = [point.loss for point in points]
    edges = [number * len(losses) // min(len(losses), WIDTH) for number in range(min(len(losses), WIDTH) + 1)]
    means = [fmean(losses[first:last]) for first, last in pairwise(edges)]
    low, span = min(means), (max(means) - min(means)) or 1.0
    drawn = "".join(BLOCKS[round((mean - low) / span * (len(BLOCKS) - 1))] for mean in means)
    first, last = points[0], points[-1]
    return (
        f"training loss {first.loss:g} at step {first.iteration}, {last.loss:g} at step {last.iteration}, "
        f"in nats per token: {drawn}"
    )


def _knowledge(story: Story) -> Iterator[Block]:
    if not story.lessons:
        return
    yield "## Knowledge learned"
    yield ""
    head = ("version", "from", "playbook", "hints")
    yield Table(head, ((k.version, k.step, k.playbook, k.hints) for k in story.lessons))


SECTIONS = (_verdict, _trajectory, _served, _steps, _refused, _spends, _savings, _bundles, _knowledge)
