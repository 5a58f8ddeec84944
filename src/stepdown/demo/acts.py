"""What the journey does, act by act: each returns whether what should follow from it was seen, and the evidence."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from stepdown.acts import adopt, configure, switch
from stepdown.acts.clear import TAKEN_AWAY
from stepdown.acts.datasets import ExportedDataset
from stepdown.acts.export import export
from stepdown.acts.localize import localize
from stepdown.acts.promote import promote
from stepdown.acts.run import play, start
from stepdown.demo.themes import Theme
from stepdown.errors import DatasetError
from stepdown.history import reader, rows
from stepdown.providers import trace
from stepdown.reports.markdown import render
from stepdown.routing.reasons import Reason
from stepdown.scenarios.referee import own_case
from stepdown.training.records import Filters
from stepdown.views.audit import differences
from stepdown.views.runs import runs as listed
from stepdown.views.runs import story
from stepdown.workspace import Workspace

UNTUNED = 16
"""Held-out questions that a base is asked before it is tuned."""

NOTHING = "no-records"
"""What an export says that found no answer good enough."""

ANOTHER = 1_000_003
"""Between the seeds of two discoveries, so that no other seed's demo plays the same one."""


Evidence = tuple[bool, str]
Act = tuple[str, Callable[[], Evidence]]


def unseen(_done: int, _all: int, _what: str) -> None:
    """Show nobody."""


class Acts:
    """The stages, in order. Each returns whether its promise was seen, and the evidence."""

    def __init__(
        self, workspace: Workspace, seed: int, theme: Theme, show: Callable[[int, int, str], None] = unseen
    ) -> None:
        self.workspace = workspace
        self.seed = seed
        self.theme = theme
        self.show = show
        self.round = 1
        self.dataset: ExportedDataset
        self.bundle: rows.Bundle
        self.lower = 0.0
        self.untuned = ""
        self.left: deque[Act] = deque(
            [
                *([("bring a pretrained base", self.bring)] if theme.base else []),
                ("discover with the frontier", self.discover),
                ("export from history", self.export),
                ("train a local bundle", self.train),
                ("promote it, by evidence", self.promote),
                ("routed run", self.served_by_local),
                ("bundle removed", self.removed),
                ("bundle disabled", self.disabled),
                ("threshold raised above it", self.raised),
                ("all restored", self.restored),
                ("report", self.report),
                ("audit", self.audit),
            ]
        )

    def next(self) -> Act | None:
        """Return what is done next; None when all is done."""
        return self.left.popleft() if self.left else None

    def once_more(self) -> None:
        """Do as a hold advises: discover more, train on all of it, and compare again."""
        self.round += 1
        self.left.extendleft(
            reversed(
                [
                    ("discover more", self.discover_more),
                    ("export all of it", self.export),
                    ("train another bundle", self.train),
                    ("promote it, by evidence", self.promote),
                ]
            )
        )

    def bring(self) -> Evidence:
        """Bring the base, and ask it as it came."""
        word = self.theme.base or ""
        base, _ = adopt.adopt(self.workspace, adopt.packaged(word), word)
        scenario = self.workspace.scenario(self.theme.scenario)
        replies = adopt.untuned(self.workspace, word, scenario, UNTUNED)
        scores = [reply.score for reply in replies]
        self.untuned = f"untuned right in {right(scores)} of {len(scores)}"
        return True, f"{base.name}, {base.parameters:,} parameters; {self.untuned}"

    def discover(self) -> Evidence:
        """Search with the frontier, since no bundle exists."""
        configure.set_policy(self.workspace, self.theme.policy, by="demo", why="what the journey needs")
        run = self._run(self.seed, self.theme.generations, self.theme.candidates)
        summary = story(self.workspace, run)
        if own_case(self.workspace.scenario(self.theme.scenario)):
            scores = [step.score or 0.0 for step in summary.steps if step.role == "competitor"]
            # Where libraries err, some of what they say is no answer at all: that step failed, and nobody else served it.
            return (
                "frontier" in summary.served and "local" not in summary.served,
                f"{run}: frontier right in {right(scores)} of {len(scores)}; {_counted(summary.reasons)}",
            )
        best = max((g.champion_score or 0.0) for g in summary.generations)
        first = summary.generations[0].score or 0.0
        only = set(summary.served) == {"frontier"} and set(summary.reasons) == {"bundle-absent", "role-not-eligible"}
        return (
            only and best > first,
            f"{run}: best of first generation {first:.3f}, champion {best:.3f}; {_counted(summary.reasons)}",
        )

    def discover_more(self) -> Evidence:
        """Search again from another seed; what was learned so far is known to it."""
        run = self._run(self.seed + self.round * ANOTHER, self.theme.generations, self.theme.candidates)
        summary = story(self.workspace, run)
        best = max((g.champion_score or 0.0) for g in summary.generations)
        return set(summary.served) == {"frontier"}, f"{run}: champion {best:.3f}; {_counted(summary.reasons)}"

    def export(self) -> Evidence:
        """Write what was good as training data; where nothing was good enough yet, more is discovered."""
        try:
            self.dataset = export(self.workspace, Filters(self.theme.scenario, min_score=self.theme.min_score))
        except DatasetError as error:
            if error.kind != NOTHING or self.round >= self.theme.rounds:
                return False, f"no answer reached {self.theme.min_score}: {error}"
            self.round += 1
            self.left.extendleft([("export all of it", self.export), ("discover more", self.discover_more)])
            return True, f"no answer reached {self.theme.min_score} yet; so more is discovered"
        return (
            self.dataset.records > 0,
            f"{self.dataset.train} + {self.dataset.valid} records, {self.dataset.digest[:12]}",
        )

    def train(self) -> Evidence:
        """Train in a child, evaluate on held-out seeds, register."""
        watch = lambda p: self.show(p.iteration, p.iterations, f"train, loss {p.loss:.3f}")  # noqa: E731
        trained = localize(self.workspace, self.dataset.path, plan=self.theme.plan, watch=watch)
        self.bundle, evaluation = trained.bundle, trained.evaluation
        self.lower = evaluation.lower or 0.0
        mean, valid = evaluation.mean or 0.0, evaluation.valid or 0.0
        words = f"{self.bundle.id[:12]}: mean {mean:.3f}, lower bound {self.lower:.3f}, legal {valid:.0%} of {evaluation.seeds}"
        if self.theme.exact is None:
            return evaluation.seeds > 0, words
        with self.workspace.reading() as connection:
            scores = [reply.score for reply in reader.all_of(connection, rows.Holdout, evaluation=evaluation.id)]
        return (
            right(scores) >= self.theme.exact * len(scores),
            f"{words}, right in {right(scores)} of {len(scores)}; {self.untuned}",
        )

    def promote(self) -> Evidence:
        """Let bundle and frontier answer the same held-out seeds; only a bundle that is shown to be as good is activated."""
        verdict = promote(self.workspace, self.bundle.id, trial=self.theme.trial, by="demo")
        shown = verdict.evidence["to_frontier"]
        with self.workspace.reading() as connection:
            active = reader.slot_bundle(connection, self.theme.scenario, self.bundle.role)
        shown_as = f"{verdict.outcome}: {shown['mean']:+.3f} to the frontier, {shown['lower']:+.3f} at least, "
        shown_as += f"on {verdict.evidence['seeds']} seeds in {verdict.run}"
        if verdict.outcome != "promote" and active is None and self.round < self.theme.rounds:
            self.once_more()
            return True, f"{shown_as}; so nobody is activated, and more is discovered"
        return active is not None and active.id == self.bundle.id, shown_as

    def served_by_local(self) -> Evidence:
        """Route a run, and believe both witnesses only together."""
        run = self._run(self.seed + 1, *self.theme.routed)
        steps = [step for step in story(self.workspace, run).steps if step.role == self.bundle.role]
        calls = {line.call: line for line in trace.lines(self.workspace.trace) if line.event == "end"}
        served = [calls[step.served_call or ""] for step in steps if step.served == "local"]
        genuine = all(line.weights_digest == self.bundle.weights_digest for line in served)
        share = len(served) / len(steps)
        return (
            share >= 0.5 and genuine,
            f"{run}: local served {len(served)} of {len(steps)}, weights {self.bundle.weights_digest[:12]} in the trace",
        )

    def removed(self) -> Evidence:
        """Take the directory away, as a careless hand would."""
        directory = self.workspace.bundle_directory(self.bundle.id)
        aside = self.workspace.root / TAKEN_AWAY
        directory.rename(aside)
        try:
            return self._falls_back(Reason.BUNDLE_ABSENT)
        finally:
            aside.rename(directory)

    def disabled(self) -> Evidence:
        """Switch the bundle off, and on again."""
        switch.disable(self.workspace, self.bundle.id, by="demo", why="to see the fallback")
        seen = self._falls_back(Reason.BUNDLE_DISABLED)
        switch.enable(self.workspace, self.bundle.id, by="demo", why="it was seen")
        return seen

    def raised(self) -> Evidence:
        """Demand more than the bundle can show, and return to what was demanded before."""
        with self.workspace.reading() as connection:
            _, before = self.workspace.policy(connection)
        above = min(1.0, self.lower + 0.001)
        configure.set_policy(self.workspace, {"min_score": above}, by="demo", why="above the bundle's bound")
        seen = self._falls_back(Reason.QUALITY_BELOW_THRESHOLD)
        configure.set_policy(self.workspace, {"min_score": before.min_score}, by="demo", why="it was seen")
        return seen

    def restored(self) -> Evidence:
        """Nothing of it left a trace in any preference: the next step is local again."""
        return self.served_by_local()

    def report(self) -> Evidence:
        """Write every run's report."""
        directory = self.workspace.root / "reports"
        directory.mkdir(exist_ok=True)
        runs = [run.id for run, _ in listed(self.workspace)]
        for run in runs:
            (directory / f"{run}.md").write_text(render(story(self.workspace, run)), "utf-8")
        return len(list(directory.iterdir())) == len(runs), f"{len(runs)} reports in {directory}"

    def audit(self) -> Evidence:
        """Compare the witnesses, and derive everything again."""
        differing = differences(self.workspace)
        calls = sum(1 for line in trace.lines(self.workspace.trace) if line.event == "end")
        return not differing, "; ".join(map(str, differing[:3])) or f"{calls} calls: history and trace agree"

    def _falls_back(self, reason: Reason) -> Evidence:
        run = self._run(self.seed + 2, 1, self.theme.asked)
        summary = story(self.workspace, run)
        steps = [step for step in summary.steps if step.role == self.bundle.role]
        served = sum(step.served == "frontier" for step in steps)
        seen = served > 0 and all(step.served != "local" and step.reason == reason for step in steps)
        alone = all(attempt.target == "frontier" for attempt in summary.attempts)
        return seen and alone, f"{run}: frontier served {served} of {len(steps)}, reason {_counted(summary.reasons)}"

    def _run(self, seed: int, generations: int, candidates: int) -> str:
        under_way = start(
            self.workspace,
            self.theme.scenario,
            seed=seed,
            generations=generations,
            candidates=candidates,
            frontier=self.theme.frontier,
        )
        return play(under_way).id


def right(scores: Sequence[float | None]) -> int:
    """Count the answers that were right in every part."""
    return sum(score == 1 for score in scores)


def _counted(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} ×{count}" for reason, count in reasons.items())
