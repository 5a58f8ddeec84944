"""Training, in the usual way and against the cache."""

from __future__ import annotations

from hypothesis import strategies as st

from stepdown_machine import operations as op
from stepdown_machine.rules.stage import Stage, pick, turn
from stepdown_machine.values import Bundle


def _plan(stage: Stage, place: int) -> str:
    plans = stage.trial.description.plans
    return plans[place % len(plans)]


PLANS = st.builds(_plan, st.runner(), st.integers(0, 7))


class Training(Stage):
    """Datasets become bundles."""

    @turn(
        dataset=pick("dataset"), plan=PLANS, how=st.sampled_from(("use", "use", "only", "again", "fresh", "tampered"))
    )
    def train(self, dataset: str, plan: str, how: str) -> None:
        """Train and use the bundle, or not; train again, afresh (the same weights), or from altered files."""
        known = dataset in self.trial.names.of("dataset")
        if how == "tampered" and known:
            self.act(op.Tamper(dataset))
        made = self.act(op.Train(dataset, plan))
        if how == "use" and isinstance(made, Bundle):
            self.act(op.Activate(self.trial.names.name("bundle", made.bundle)))
            self.follow(1)
        if how in ("again", "fresh"):
            self.act(op.Train(dataset, plan, fresh=how == "fresh"))
