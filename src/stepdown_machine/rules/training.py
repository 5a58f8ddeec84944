"""Training, in the usual way and against the cache."""

from __future__ import annotations

from functools import partial

from hypothesis import strategies as st

from stepdown_machine import operations as op
from stepdown_machine.rules.picking import pick, some
from stepdown_machine.rules.turns import Episode, TurnMachine, turn
from stepdown_machine.values import Bundle


def _plan(machine: TurnMachine, choice: int) -> str:
    plans = machine.session.description.plans
    return plans[choice % len(plans)]


TAMPERED = {"tampered": "append", "added to": "add"}
"""What happens to a dataset's files before a training."""
PLANS = st.builds(_plan, st.runner(), st.integers(0, 7))


def untrained(machine: TurnMachine, choice: int) -> op.Train:
    """Return a job that was not done before, if there is one: only that writes a bundle."""
    session = machine.session
    for name in reversed(session.names.of("dataset")):
        digest = session.model.datasets.get(session.names.ids["dataset"][name])
        for plan in session.description.plans:
            if digest is not None and not session.model.equals(session.model.job(digest, plan)):
                return op.Train(name, plan)
    return op.Train(some(machine, "dataset", choice), (*session.description.plans, "")[0], fresh=True)


class Training(TurnMachine):
    """Datasets become bundles."""

    @turn(
        op.Train,
        dataset=pick("dataset"),
        plan=PLANS,
        how=st.sampled_from(("use", "use", "only", "again", "fresh", *TAMPERED, "resumed")),
    )
    def train(self, dataset: str, plan: str, how: str) -> None:
        """Train and use the bundle, or not; train again, afresh (the same weights), or from altered files."""
        exists = dataset in self.session.names.of("dataset")
        if how in TAMPERED and exists:
            self.act(op.Tamper(dataset, TAMPERED[how]))
        bundle = self.act(op.Train(dataset, plan))
        if how == "use" and isinstance(bundle, Bundle):
            self.act(op.Activate(self.session.names.name("bundle", bundle.bundle)))
            self.follow(1)
        if how in ("again", "fresh"):
            self.act(op.Train(dataset, plan, fresh=how == "fresh"))
        elif how == "resumed":
            self.episodes().get("train on", self.follow)(len(dataset + plan))

    def episodes(self) -> dict[str, Episode]:
        """Add what becomes of a job whose bundle is gone."""
        return {**super().episodes(), "train again": self._train_again}

    def _train_again(self, _place: int) -> None:
        """Train a job, and again whenever its bundle is retired, deleted or lost, in that very second."""
        if not self.session.names.of("dataset"):
            return
        job = untrained(self, 0)
        for gone in (op.Retire, op.Delete, None, partial(op.Damage, how="delete-directory")):
            bundle = self.act(job)
            if isinstance(bundle, Bundle):
                name = self.session.names.name("bundle", bundle.bundle)
                self.tell((op.Activate(name), op.Run(0)))
                self.tell([gone(name)] if gone is not None else ())
