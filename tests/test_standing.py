"""Where bundles stand: the fold, the queries that routing asks, and the words of the rule, all three the same."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from journey import Hands
from stepdown.bundles.standing import Status, fold
from stepdown.history import engine, ledger, reader, rows, schema
from stepdown.workspace import Workspace
from stepdown.workspace.facts import breaker_of, is_disabled

BUNDLES = ("one", "two", "three")
SLOT = {"one": ("grid_ctf", "competitor"), "two": ("grid_ctf", "competitor"), "three": ("other", "competitor")}
NOW = Hands().instant

acts = st.lists(
    st.tuples(st.sampled_from(["activate", "disable", "enable", "retire", "delete"]), st.sampled_from(BUNDLES)),
    max_size=20,
)


def act(kind: str, bundle: str) -> rows.Act:
    """Return an act on a bundle and its slot."""
    return rows.Act(kind, *SLOT[bundle], bundle, forced=False, by="test", why="", at=NOW)


def legal(drawn: list[tuple[str, str]]) -> list[rows.Act]:
    """Leave out what the registry refuses: nothing but the end comes after the end."""
    gone: set[str] = set()
    found = []
    for kind, bundle in drawn:
        if bundle not in gone or kind in {"retire", "delete"}:
            found.append(act(kind, bundle))
        if kind in {"retire", "delete"}:
            gone.add(bundle)
    return found


@dataclass(slots=True)
class Said:
    """The rule in words: a slot keeps what was activated last, unless that one has retired since."""

    slots: dict[tuple[str, str], str]
    off: set[str]
    gone: set[str]

    def hear(self, one: rows.Act) -> None:
        """Take one act in."""
        if one.kind == "activate":
            self.slots[one.scenario, one.role] = one.bundle
        elif one.kind == "disable":
            self.off.add(one.bundle)
        elif one.kind == "enable":
            self.off.discard(one.bundle)
        else:
            self.gone.add(one.bundle)
            self.slots = {slot: bundle for slot, bundle in self.slots.items() if bundle != one.bundle}


@given(acts)
def test_the_fold_says_what_the_rule_says(drawn: list[tuple[str, str]]) -> None:
    said = Said({}, set(), set())
    for one in legal(drawn):
        said.hear(one)

    standing = fold(legal(drawn))
    assert (dict(standing.active), standing.disabled, standing.retired) == (said.slots, said.off, said.gone)


@given(acts)
def test_a_slot_never_holds_two_bundles(drawn: list[tuple[str, str]]) -> None:
    standing = fold(legal(drawn))

    assert len(set(standing.active.values())) == len(standing.active)
    assert not standing.retired & set(standing.active.values())
    for bundle in BUNDLES:
        if standing.status(bundle) is Status.ACTIVE:
            assert standing.active[SLOT[bundle]] == bundle


@given(acts)
def test_the_queries_of_routing_answer_as_the_fold_of_all_acts(drawn: list[tuple[str, str]]) -> None:
    standing = fold(legal(drawn))
    made = engine.create("sqlite://")
    with engine.writing(made) as connection:
        schema.metadata.create_all(connection)
        for bundle in BUNDLES:
            digest = "0" * 64
            ledger.append(connection, rows.Bundle(bundle, *SLOT[bundle], digest, digest, digest, NOW, "s", NOW))
        ledger.append(connection, *legal(drawn))
        for bundle in BUNDLES:
            assert is_disabled(connection, bundle) is (bundle in standing.disabled)
            assert reader.is_retired(connection, bundle) is (bundle in standing.retired)
        for slot in set(SLOT.values()):
            held = reader.slot_bundle(connection, *slot)
            assert (held.id if held else None) == standing.active.get(slot)
    made.dispose()


def test_whatever_routing_asks_of_a_bundle_is_found_by_an_index(local: Workspace) -> None:
    asked: list[tuple[str, Any]] = []
    listener = lambda _c, _cursor, statement, values, *_: asked.append((statement, values))  # noqa: E731
    with local.reading() as connection:
        event.listen(local.engine, "before_cursor_execute", listener)
        held = reader.slot_bundle(connection, "grid_ctf", "competitor")
        assert held is not None
        assert not is_disabled(connection, held.id)
        breaker_of(connection, held.id)
        reader.evaluation(connection, held.id, "0" * 64)
        event.remove(local.engine, "before_cursor_execute", listener)
        plans = [
            line[-1]
            for statement, values in asked
            for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]

    # Neither a walk through a table nor a sort: the newest row is the first that the index gives.
    searches = [plan for plan in plans if not plan.endswith(("SUBQUERY 1", "SUBQUERY 2"))]
    assert len(asked) == 4
    assert len(searches) == 6
    assert all(plan.startswith("SEARCH ") and " USING " in plan for plan in searches), plans
