"""A story as Markdown."""

from collections.abc import Iterable, Iterator, Sequence

from stepdown.history import rows
from stepdown.reports.events import acted, said
from stepdown.reports.story import SHADOW, Provenance, Spend, Story


def render(story: Story) -> str:
    """Return the report of a run."""
    return "\n".join(
        line
        for section in (_head, _verdict, _trajectory, _served, _steps, _spends, _savings, _bundles, _knowledge)
        for line in section(story)
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
    text = f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    # The backslash first: one that stands before a bar would undo the bar's own.
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())


def _head(story: Story) -> Iterator[str]:
    run, ending = story.run, story.ending
    outcome = f"{ending.outcome} at {ending.at:%Y-%m-%d %H:%M:%S} UTC" if ending else "under way"
    yield f"# {run.id}: {run.scenario}"
    yield ""
    yield f"Started {run.at:%Y-%m-%d %H:%M:%S} UTC, {outcome}. Seed {run.seed}, frontier {_cell(run.frontier)}."
    if run.purpose == rows.COMPARISON:
        yield f"A comparison for a promotion, on at most {run.candidates} held-out seeds."
    else:
        yield f"{run.generations} generations of {run.candidates} candidates."
    if ending and ending.error:
        yield f"It failed: {_cell(ending.error)}"
    yield ""


def _verdict(story: Story) -> Iterator[str]:
    verdict = story.verdict
    if verdict is None:
        return
    yield "## Verdict"
    yield ""
    yield f"**{verdict.outcome}** for bundle {verdict.bundle[:12]}, asked for by {verdict.by}: {said(verdict)}."
    shown, champion = verdict.evidence, verdict.evidence["to_champion"]
    if champion is not None:
        yield f"To the champion {champion['mean']:+.4f}, from {champion['lower']:+.4f} to {champion['upper']:+.4f}."
    rate = f"{shown['trial']['error_rate']:.0%}"
    yield f"A false verdict comes with a chance of at most {rate} each way."
    covered, wanted = _cell(shown["coverage"]), _cell(shown["min_coverage"])
    yield f"Policy {verdict.policy} asked for {shown['min_valid']:.0%} legal replies and coverage {wanted}; it was {covered}."
    yield ""


def _trajectory(story: Story) -> Iterator[str]:
    yield "## Trajectory"
    yield ""
    head = ("generation", "best", "score", "decision", "champion", "champion's score")
    body = ((g.number, g.best, g.score, g.decision, g.champion, g.champion_score) for g in story.generations)
    yield from table(head, body)


def _served(story: Story) -> Iterator[str]:
    yield "## Who served"
    yield ""
    if story.local_share is not None:
        yield f"Local served {story.local_share:.0%} of the served strategies; lessons are not among them."
        yield ""
    yield from table(("served by", "steps"), story.served.items())
    yield "## Why local did not"
    yield ""
    yield from table(("reason", "steps"), story.reasons.items())


def _steps(story: Story) -> Iterator[str]:
    yield "## Steps"
    yield ""
    head = ("step", "role", "requested", "attempted", "served", "reason", "error", "score", "shadow")
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
        (s.id, s.role, s.requested, asked.get(s.id), s.served, s.reason, s.error, s.score, shadows.get(s.id))
        for s in story.steps
    )
    yield from table(head, body)


def _outcome(attempt: rows.Attempt) -> str:
    outcome = "ok" if attempt.accepted else attempt.error_type
    return f"{outcome}{' (recovered)' if attempt.recovered else ''}"


def _spends(story: Story) -> Iterator[str]:
    yield "## Tokens, money, time"
    yield ""
    head = ("provider", "as", "calls", "failed", "tokens in", "tokens out", "US$", "median s", "95 % s")
    yield from table(head, map(_spend, story.spends))


def _spend(spend: Spend) -> tuple[object, ...]:
    middle, high = spend.latency or (None, None)
    known = f"{spend.cost:.6f}" if spend.unpriced == 0 else f"{spend.cost:.6f} + {spend.unpriced} unpriced"
    known = "not priced" if spend.target == SHADOW else known
    uncounted = f" ({spend.uncounted} not counted)" if spend.uncounted else ""
    tokens = (f"{spend.input_tokens}{uncounted}", f"{spend.output_tokens}{uncounted}")
    return (spend.provider, spend.target, spend.attempts, spend.failed, *tokens, known, middle, high)


def _savings(story: Story) -> Iterator[str]:
    for role, saved in story.savings.items():
        if saved is None:
            yield f"Savings of {role}: unknown, since no step of it by this frontier has a known cost."
        else:
            yield (
                f"Savings of {role}: US$ {saved.saved:.6f} on {saved.steps} steps, against US$ {saved.baseline:.6f} a "
                f"step, measured on the last {saved.measured} that this frontier served."
            )
        yield ""


def _bundles(story: Story) -> Iterator[str]:
    yield "## Bundles asked"
    yield ""
    if not story.bundles:
        yield "None."
        yield ""
    for provenance in story.bundles:
        yield from _bundle(provenance)


def _bundle(provenance: Provenance) -> Iterator[str]:
    bundle, evaluation, promise = provenance.bundle, provenance.evaluation, provenance.promise
    yield f"- **{bundle.id[:12]}** for {bundle.scenario} {bundle.role}, trained {bundle.trained_at:%Y-%m-%d %H:%M:%S} UTC"
    yield f"    - weights {bundle.weights[:12]}, dataset {bundle.dataset[:12]}, job {bundle.job[:12]}"
    if evaluation is not None:
        yield (
            f"    - {evaluation.id}: mean {_cell(evaluation.mean)}, lower bound {_cell(evaluation.lower)}, "
            f"legal {_cell(evaluation.valid)} over {evaluation.seeds} held-out seeds"
        )
    if provenance.verdict is not None:
        yield f"    - verdict: {provenance.verdict.outcome}, {said(provenance.verdict)}"
    for act in provenance.acts:
        yield f"    - {act.at:%Y-%m-%d %H:%M:%S} UTC: {_cell(acted(act))}"
    if promise is None:
        yield "    - its directory is gone or not whole: nothing more can be said of it"
    else:
        yield f"    - plan {promise['plan']}"
        yield f"    - backend {promise['backend']}"
    yield ""


def _knowledge(story: Story) -> Iterator[str]:
    yield "## Knowledge learned"
    yield ""
    head = ("version", "from", "playbook", "hints")
    yield from table(head, ((k.version, k.step, k.playbook, k.hints) for k in story.lessons))
