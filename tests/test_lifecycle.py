"""History that remembers, the way back, and what may be thrown away; alone and with a rival process."""

import json
import multiprocessing
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey import SCENARIO, SMALL, Hands, active, compete, count, discover, localized
from stepdown.acts import configure, switch
from stepdown.acts.opening import open_workspace
from stepdown.acts.promote import promote
from stepdown.acts.prune import prune
from stepdown.acts.rollback import rollback
from stepdown.bundles.standing import Status, fold
from stepdown.bundles.trail import behind
from stepdown.cli import main
from stepdown.errors import InvalidValue, NotFound, Refused, StepdownError
from stepdown.history import reader, rows
from stepdown.providers import trace
from stepdown.scenarios import prompt
from stepdown.training.plan import Plan
from stepdown.training.promotion import Trial
from stepdown.views.audit import differences
from stepdown.views.history import active_at, history, instant
from stepdown.workspace import Settings, Workspace

SLOT = (SCENARIO, "competitor")

GOOD = replace(SMALL, seed=3)
"""Learns as well as the plan of the bundle that is active, and gives other weights."""


def trained(workspace: Workspace, seed: int) -> rows.Bundle:
    """Return a small bundle of its own."""
    return localized(workspace, Plan.tiny(iterations=1, seed=seed)).bundle


def forced(workspace: Workspace, bundle: rows.Bundle) -> rows.Bundle:
    """Activate a bundle, whatever it can."""
    return switch.activate(workspace, bundle.id, forced=True)


def acts(workspace: Workspace) -> list[rows.Act]:
    with workspace.reading() as connection:
        return reader.acts(connection)


# The way back


def test_rollback_returns_to_the_last_bundle_and_says_by_what(local: Workspace) -> None:
    good = active(local)
    forced(local, trained(local, 1))

    assert rollback(local, *SLOT, by="ada", why="it answers nonsense") == good
    (trial,) = [line for line in trace.lines(local.trace) if line.call.startswith("trial/")]
    assert (trial.event, trial.bundle, trial.size) == ("batch", good.id, 1)

    assert active(local) == good
    last = acts(local)[-1]
    assert (last.kind, last.by, last.why, last.forced) == ("activate", "rollback", "ada: it answers nonsense", False)
    assert compete(local, seed=3).served == "local"
    assert differences(local) == []


def test_rolling_back_twice_goes_further_back_and_never_forth(local: Workspace) -> None:
    first = active(local)
    second, third = (forced(local, trained(local, seed)) for seed in (1, 2))
    assert active(local) == third

    assert rollback(local, *SLOT) == second
    assert rollback(local, *SLOT) == first
    with pytest.raises(Refused, match="no earlier bundle"):
        rollback(local, *SLOT)
    assert active(local) == first


def test_rollback_passes_over_what_is_not_good_any_more(local: Workspace) -> None:
    good = active(local)
    broken, disabled, retired, unloadable, bad = (forced(local, trained(local, seed)) for seed in range(1, 6))
    (local.bundle_directory(broken.id) / "config.json").unlink()
    switch.disable(local, disabled.id)
    switch.retire(local, retired.id)
    shutil.rmtree(local.bundle_directory(unloadable.id))
    assert active(local) == bad

    assert rollback(local, *SLOT) == good


def test_rollback_passes_over_what_was_made_for_other_prompts(
    local: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = active(local)
    bad = forced(local, trained(local, 1))
    monkeypatch.setattr(prompt, "FORMAT", prompt.FORMAT + 1)

    with pytest.raises(Refused, match=f"{before.id[:12]}: it was made for prompt format"):
        rollback(local, *SLOT)

    assert active(local) == bad


def test_rollback_from_a_retired_bundle_fills_the_empty_slot(local: Workspace) -> None:
    good = active(local)
    switch.retire(local, forced(local, trained(local, 1)).id)
    with local.reading() as connection:
        assert reader.slot_bundle(connection, *SLOT) is None

    assert rollback(local, *SLOT) == good


def test_a_bundle_that_is_whole_but_does_not_load_is_no_way_back(local: Workspace, settings: Settings) -> None:
    good = active(local)
    forced(local, trained(local, 1))
    local.close()

    def unloadable(directory: Path, *rest: object) -> object:
        from stepdown.errors import LoadFailed

        def answer(*_: object) -> list[str]:
            raise LoadFailed("The weights are of another kind.")

        return SimpleNamespace(name="x", model="y", answer=answer)

    with open_workspace(local.root, settings=replace(settings, local=unloadable)) as reopened:
        before = acts(reopened)
        with pytest.raises(Refused, match=r"of another kind") as refusal:
            rollback(reopened, *SLOT)
        assert acts(reopened) == before
    assert refusal.value.kind == "nothing-to-roll-back"
    assert good.id[:12] in str(refusal.value)


def test_rollback_with_nothing_behind_is_refused_and_changes_nothing(workspace: Workspace, local: Workspace) -> None:
    for opened in (workspace, local):
        before = acts(opened)
        with pytest.raises(Refused, match="no earlier bundle") as refusal:
            rollback(opened, *SLOT)
        assert refusal.value.kind == "nothing-to-roll-back"
        assert acts(opened) == before
    with pytest.raises(NotFound, match="no scenario"):
        rollback(local, "chess")


@given(st.lists(st.sampled_from(["A", "B", "C", "back", "-A", "-B", "-C"]), max_size=14))
def test_the_way_back_is_a_stack(moves: list[str]) -> None:
    """A rollback leads to a bundle that was active before and is not retired, and rolling back comes to an end."""
    done: list[SimpleNamespace] = []
    current: str | None = None
    gone: set[str] = set()
    seen: list[str] = []
    for move in moves:
        way = behind(done, SLOT, current)
        assert current not in way
        assert set(way) <= set(seen) - gone
        assert len(way) == len(set(way))
        if move == "back" and way:
            current = way[0]
            done.append(act("activate", current, "rollback"))
        elif move.startswith("-"):
            gone.add(move[1:])
            current = None if current == move[1:] else current
            done.append(act("retire", move[1:], "ada"))
        elif move != "back" and move not in gone:
            current = move
            seen.append(move)
            done.append(act("activate", move, "ada"))
    forward = len(done)
    while way := behind(done, SLOT, current):
        current = way[0]
        done.append(act("activate", current, "rollback"))
        assert len(done) <= 2 * forward


def act(kind: str, bundle: str, by: str) -> SimpleNamespace:
    return SimpleNamespace(kind=kind, scenario=SLOT[0], role=SLOT[1], bundle=bundle, by=by)


# What may be thrown away


def test_prune_keeps_the_active_its_way_back_and_what_a_kept_run_asked(local: Workspace) -> None:
    asked = active(local)
    compete(local, seed=3)
    back, now, unused = forced(local, trained(local, 1)), forced(local, trained(local, 2)), trained(local, 3)

    found = prune(local, by="ada", why="the disk is small")

    assert [bundle.id for bundle in found.removed] == [unused.id]
    assert set(found.kept) == {asked.id, back.id, now.id}
    assert "run-2 asked it" in found.kept[asked.id]
    assert not local.bundle_directory(unused.id).exists()
    assert all(local.bundle_directory(bundle.id).exists() for bundle in (asked, back, now))
    last = acts(local)[-1]
    assert (last.kind, last.bundle, last.by, last.why) == ("delete", unused.id, "prune", "ada: the disk is small")
    assert prune(local).removed == ()
    assert differences(local) == []


def test_prune_keeps_where_a_rollback_really_leads_not_just_what_was_there_before(local: Workspace) -> None:
    good = active(local)
    disabled, broken, now = (forced(local, trained(local, seed)) for seed in (1, 2, 3))
    switch.disable(local, disabled.id)
    (local.bundle_directory(broken.id) / "config.json").unlink()

    assert set(prune(local, keep=0).removed) == {disabled, broken}

    assert active(local) == now
    assert rollback(local, *SLOT) == good


def test_prune_lets_go_of_what_only_old_runs_asked(local: Workspace) -> None:
    old = active(local)
    compete(local, seed=3)
    back, now = forced(local, trained(local, 1)), forced(local, trained(local, 2))
    newest = discover(local, seed=4).id

    assert prune(local, keep=2).removed == ()
    assert prune(local, keep=1).removed == (old,)

    with local.reading() as connection:
        assert reader.run(connection, newest) is not None
        assert reader.bundle(connection, old.id) == old  # History never shrinks.
    assert {active(local), rollback(local, *SLOT)} == {now, back}


def test_prune_keeps_whoever_a_kept_comparison_was_between(local: Workspace) -> None:
    champion, challenger, unused = active(local), trained(local, 1), trained(local, 2)
    compared = promote(local, challenger.id, trial=Trial(margin=0.2)).run
    configure.set_policy(local, {"mode": "frontier-only"})
    back, now = forced(local, trained(local, 3)), forced(local, trained(local, 4))

    assert prune(local).removed == (unused,)
    with pytest.raises(Refused, match=f"{compared} asked it"):
        prune(local, [challenger.id])

    discover(local, seed=4)
    assert set(prune(local, keep=1).removed) == {champion, challenger}
    assert {active(local), rollback(local, *SLOT)} == {now, back}
    assert differences(local) == []


def test_prune_of_a_needed_bundle_is_refused_and_nothing_is_removed(local: Workspace) -> None:
    back = active(local)
    now, unused = forced(local, trained(local, 1)), trained(local, 2)
    before = acts(local)

    for needed, why in ((now, "active bundle"), (back, "rollback")):
        with pytest.raises(Refused, match=why) as refusal:
            prune(local, [unused.id, needed.id])
        assert refusal.value.kind == "bundle-needed"
    with pytest.raises(NotFound, match="no bundle"):
        prune(local, [unused.id, "f" * 64])
    with pytest.raises(InvalidValue, match="0 or more"):
        prune(local, keep=-1)

    assert acts(local) == before
    assert local.bundle_directory(unused.id).exists()


def test_prune_of_a_named_bundle_takes_that_one_alone_and_only_once(local: Workspace) -> None:
    first, second = trained(local, 1), trained(local, 2)

    assert prune(local, [first.id[:12]]).removed == (first,)

    assert local.bundle_directory(second.id).exists()
    with pytest.raises(Refused, match="removed already"):
        prune(local, [first.id])


# History that remembers


def test_history_says_who_changed_what_when_and_why(local: Workspace, hands: Hands) -> None:
    good = active(local)
    hands.forward(60)
    configure.set_policy(local, {"min_score": 0.8}, by="ada", why="stricter")
    hands.forward(60)
    configure.set_policy(local, {"min_score": 0.75, "canary": 0.5}, by="bo", why="softer")
    hands.forward(60)
    configure.switch_validator(local, SCENARIO, "budget", enabled=False, by="bo", why="too slow")
    hands.forward(60)
    promote(local, good.id, by="ada", why="again")
    hands.forward(60)
    switch.disable(local, good.id, by="bo", why="night")

    told = [(event.kind, event.by, event.why, event.detail.partition(" (")[0]) for event in history(local)]

    assert told == [
        ("activate", "conftest", "every test begins here", ""),
        ("policy", "ada", "stricter", "1: min_score=0.8"),
        ("policy", "bo", "softer", "2: min_score=0.75, canary=0.5"),
        ("harness", "bo", "too slow", "budget off"),
        ("verdict", "ada", "again", "hold"),
        ("disable", "bo", "night", ""),
    ]
    assert history(local)[0].forced
    assert [event.kind for event in history(local, SLOT)] == ["activate", "verdict", "disable"]
    with pytest.raises(NotFound, match="no scenario"):
        history(local, ("chess", "competitor"))


def test_a_policys_history_says_each_value_as_it_is_set(workspace: Workspace) -> None:
    for changes in ({"shadow": "on", "frontier_never": "coach,competitor"}, {"max_age": "inf"}, {"shadow": "off"}):
        configure.set_policy(workspace, changes)

    assert [event.detail for event in history(workspace)] == [
        "1: frontier_never=coach,competitor, shadow=on",
        "2: max_age=inf",
        "3: shadow=off",
    ]


@pytest.mark.parametrize("name", ["promotion", "rollback", "prune", " promotion ", "", "  ", "x" * 121])
def test_nobody_acts_as_nobody_or_under_the_name_of_a_mechanism(local: Workspace, name: str) -> None:
    held, spare = active(local), trained(local, 1)
    deeds: list[Callable[[], object]] = [
        lambda: switch.activate(local, spare.id, forced=True, by=name),
        lambda: switch.disable(local, held.id, by=name),
        lambda: promote(local, spare.id, by=name),
        lambda: rollback(local, *SLOT, by=name),
        lambda: prune(local, [spare.id], by=name),
        lambda: configure.set_policy(local, {"min_score": 0.5}, by=name),
        lambda: configure.switch_validator(local, SCENARIO, "budget", enabled=False, by=name),
    ]
    before = history(local), count(local, rows.Run)

    for deed in deeds:
        with pytest.raises(InvalidValue, match="with --by"):
            deed()

    assert (history(local), count(local, rows.Run)) == before


def test_active_at_an_instant_is_what_the_acts_until_then_say(local: Workspace, hands: Hands) -> None:
    first, begun = active(local), hands.instant
    hands.forward(3600)
    second = forced(local, trained(local, 1))
    hands.forward(3600)
    switch.retire(local, second.id)

    assert active_at(local, begun - timedelta(seconds=1)) == {}
    assert active_at(local, begun) == {SLOT: first}
    assert active_at(local, begun + timedelta(seconds=3599)) == {SLOT: first}
    assert active_at(local, instant("2026-03-01T14:00:00+01:00")) == {SLOT: second}
    assert active_at(local, hands.instant) == active_at(local) == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("yesterday", "is not a time"),
        ("2026-13-01T00:00:00+00:00", "is not a time"),
        ("2026-02-01T00:00:00", "has no time zone"),
        ("2027-01-01T00:00:00+00:00", "has not come yet"),
        ("2026-03-01T13:00:00.000001+01:00", "has not come yet"),
        ("9999-12-31T23:59:59-14:00", "has not come yet"),
        ("0001-01-01T00:00:00+14:00", "before the calendar begins"),
        ("", "is not a time"),
    ],
)
def test_a_time_that_cannot_be_looked_at_is_refused_in_a_sentence(local: Workspace, text: str, sentence: str) -> None:
    with pytest.raises(InvalidValue, match=sentence):
        active_at(local, instant(text))


def test_the_commands_of_a_bundles_life_answer_and_refuse(local: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    good, other, unused = active(local), trained(local, 1), trained(local, 2)
    local.close()

    def run(*arguments: str, code: int = 0) -> str:
        assert main([*arguments, "-w", str(local.root)]) == code
        return capsys.readouterr().out

    run("bundles", "activate", other.id[:12], code=4)
    run("bundles", "activate", other.id[:12], "--force", "--by", "ada")
    assert good.id[:12] in run("bundles", "rollback", "--why", "worse")
    run("bundles", "rollback", code=4)
    run("bundles", "prune", good.id, "--yes", code=4)
    assert unused.id[:12] in run("bundles", "prune", unused.id, "--yes")
    assert "hold" in run("promote", good.id, "--budget", "32", code=1)
    run("promote", good.id, "--margin", "nan", code=2)
    run("promote", good.id, "--budget", "1", code=2)
    assert json.loads(run("bundles", "evaluate", good.id[:12], "--json"))["seeds"] == 64
    told = json.loads(run("bundles", "history", "--slot", "grid_ctf/competitor", "--json"))
    assert [event["kind"] for event in told] == ["activate", "activate", "activate", "delete", "verdict"]
    assert "by force" in run("bundles", "history")
    assert "verdict" in run("history")
    assert good.id in run("bundles", "active")
    run("bundles", "active", "--at", "someday", code=2)
    assert "verdict at" in run("bundles", "show", good.id)


# Rivals: real processes that have both looked before either moves


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where two processes wait for each other, and what each then says."""

    barrier: object
    point: str

    def reached(self, point: str) -> None:
        if point == self.point:
            self.barrier.wait(timeout=60)  # type: ignore[attr-defined]


def rival(root: Path, meeting: Meeting, pipe: Pipe, deed: Callable[[Workspace], object]) -> None:
    """Do a deed in a process of its own, and say what became of it."""
    settings = Settings(durability="normal", reached=meeting.reached)
    with open_workspace(root, settings=settings) as workspace:
        try:
            deed(workspace)
            pipe.send("won")
        except StepdownError as error:
            pipe.send(getattr(error, "kind", "error"))


def promote_it(bundle: str, workspace: Workspace) -> object:
    return promote(workspace, bundle, trial=Trial(margin=0.2))  # One block of seeds is enough for so much.


def roll_back(workspace: Workspace) -> object:
    return rollback(workspace, *SLOT)


def prune_it(bundle: str, workspace: Workspace) -> object:
    workspace.reached("ready")
    return prune(workspace, [bundle])


def prune_all(workspace: Workspace) -> object:
    workspace.reached("ready")
    return prune(workspace)


FRESH = multiprocessing.get_context("spawn")
"""Processes that opened nothing, as those of a shell; a fork server there is only one in a process, and it is the machine's."""


def contest(root: Path, *entries: tuple[str, Callable[[Workspace], object]]) -> list[str]:
    """Let processes meet at their points, then act; return what each said, and watch the slot meanwhile."""
    barrier, children, pipes = FRESH.Barrier(len(entries)), [], []
    for point, deed in entries:
        mine, its = FRESH.Pipe()
        child = FRESH.Process(target=rival, args=(root, Meeting(barrier, point), its, deed))
        child.start()
        children.append(child)
        pipes.append(mine)
    with open_workspace(root, settings=Settings(durability="normal")) as watcher:
        before, held = len(acts(watcher)), []
        while any(child.is_alive() for child in children):
            with watcher.reading() as connection:
                found = reader.slot_bundle(connection, *SLOT)
                standing = fold(reader.acts(connection))
                shown = [each.id for each in reader.bundles(connection) if standing.status(each.id) is Status.ACTIVE]
            # Whom the router asks is the one bundle that is shown as active, each bundle being looked at by itself.
            assert shown == ([found.id] if found else [])
            held.append(found.id if found else None)
            children[0].join(timeout=0.02)
        # The slot changed hands at most once, and by one act.
        assert held == sorted(held, key=held.index)
        assert len(set(held)) <= 2
        assert len(acts(watcher)) == before + 1
        assert differences(watcher) == []
    return sorted(pipe.recv() for pipe in pipes)


def at_the_wall_clock(workspace: Workspace) -> Path:
    """Close a workspace that rivals will open with the real clock."""
    workspace.close()
    return workspace.root


@pytest.mark.parametrize("same", [False, True], ids=["two-bundles", "one-bundle"])
def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(local: Workspace, same: bool) -> None:
    good = active(local)
    again = good if same else localized(local, GOOD).bundle
    forced(local, trained(local, 1))
    root = at_the_wall_clock(local)

    said = contest(
        root,
        ("comparison-played", partial(promote_it, good.id)),
        ("comparison-played", partial(promote_it, again.id)),
    )

    assert said == ["stale", "won"]
    with open_workspace(root) as reopened:
        assert active(reopened).id in (good.id, again.id)
        assert count(reopened, rows.Verdict) == 1


def test_of_two_rollbacks_at_once_one_wins_and_the_other_is_told(local: Workspace) -> None:
    first = active(local)
    second, _third = (forced(local, trained(local, seed)) for seed in (1, 2))
    root = at_the_wall_clock(local)

    assert contest(root, ("rollback-checked", roll_back), ("rollback-checked", roll_back)) == ["stale", "won"]

    with open_workspace(root) as reopened:
        assert active(reopened) == second != first


def test_of_a_promotion_and_a_rollback_at_once_one_wins(local: Workspace) -> None:
    good = active(local)
    middle, _bad = (forced(local, trained(local, seed)) for seed in (1, 2))
    root = at_the_wall_clock(local)

    said = contest(root, ("comparison-played", partial(promote_it, good.id)), ("rollback-checked", roll_back))

    assert said == ["stale", "won"]
    with open_workspace(root) as reopened:
        assert active(reopened) in (good, middle)


def test_of_two_prunes_of_one_bundle_one_removes_it_and_the_other_is_told(local: Workspace) -> None:
    unused = trained(local, 1)
    root = at_the_wall_clock(local)

    said = contest(root, *[("ready", partial(prune_it, unused.id))] * 2)

    assert said == ["bundle-retired", "won"]
    assert not (root / "bundles" / unused.id).exists()


def test_of_two_prunes_of_everything_one_removes_and_the_other_finds_nothing(local: Workspace) -> None:
    unused = trained(local, 1)
    root = at_the_wall_clock(local)

    assert contest(root, ("ready", prune_all), ("ready", prune_all)) == ["won", "won"]

    assert not (root / "bundles" / unused.id).exists()


def test_of_a_promotion_and_a_prune_of_one_bundle_one_wins_and_the_other_is_told(local: Workspace) -> None:
    held = active(local)
    again = localized(local, GOOD).bundle
    root = at_the_wall_clock(local)

    said = contest(root, ("comparison-played", partial(promote_it, again.id)), ("ready", partial(prune_it, again.id)))

    pruned = not (root / "bundles" / again.id).exists()
    assert said == ["bundle-retired" if pruned else "bundle-needed", "won"]
    with open_workspace(root) as reopened:
        assert active(reopened) == (held if pruned else again)
        assert count(reopened, rows.Verdict) == (0 if pruned else 1)


def test_what_a_rollback_leads_to_cannot_be_pruned_meanwhile(local: Workspace) -> None:
    good = active(local)
    forced(local, trained(local, 1))
    root = at_the_wall_clock(local)

    said = contest(root, ("rollback-checked", roll_back), ("ready", partial(prune_it, good.id)))

    assert said == ["bundle-needed", "won"]
    with open_workspace(root) as reopened:
        assert active(reopened) == good


def test_a_rollback_whose_target_is_pruned_away_moves_nothing(local: Workspace, settings: Settings) -> None:
    good, bad = active(local), forced(local, trained(local, 1))
    local.close()

    def pruned_meanwhile(point: str) -> None:
        if point == "rollback-checked":
            with open_workspace(local.root, settings=settings) as other:
                switch.delete(other, good.id)

    with open_workspace(local.root, settings=replace(settings, reached=pruned_meanwhile)) as reopened:
        with pytest.raises(Refused) as refusal:
            rollback(reopened, *SLOT)
        assert refusal.value.kind == "bundle-retired"
        assert active(reopened) == bad


def test_a_slot_whose_bundle_retired_meanwhile_changed_hands(local: Workspace, settings: Settings) -> None:
    again = localized(local, GOOD).bundle
    held = active(local)
    local.close()

    def retired_meanwhile(point: str) -> None:
        if point == "comparison-played":
            with open_workspace(local.root, settings=settings) as other:
                switch.retire(other, held.id)

    with open_workspace(local.root, settings=replace(settings, reached=retired_meanwhile)) as reopened:
        with pytest.raises(Refused, match="changed hands") as refusal:
            promote_it(again.id, reopened)
        assert refusal.value.kind == "stale"
        assert count(reopened, rows.Verdict) == 0


def test_the_end_of_a_bundle_that_serves_nobody_spoils_no_promotion(local: Workspace, settings: Settings) -> None:
    again, unused = localized(local, GOOD).bundle, trained(local, 1)
    local.close()

    def pruned_meanwhile(point: str) -> None:
        if point == "comparison-played":
            with open_workspace(local.root, settings=settings) as other:
                prune(other, [unused.id])

    with open_workspace(local.root, settings=replace(settings, reached=pruned_meanwhile)) as reopened:
        promote_it(again.id, reopened)
        assert active(reopened) == again
        assert differences(reopened) == []


def test_what_a_killed_tuning_left_is_shown_and_taken_away_only_when_asked_for(
    local: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = local.root / "jobs"
    dead, living, mine = jobs / f"{'a' * 64}.checkpoint", jobs / f"{'b' * 64}.checkpoint", jobs / "notes.checkpoint"
    for folder in (dead, living, mine):
        folder.mkdir(parents=True)
        (folder / "weights.safetensors").write_bytes(b"half")
    (jobs / f"{'b' * 64}.{local.session.begin()}.plan").write_text("{}")
    prune_ = ["bundles", "prune", "-w", str(local.root)]

    assert main(prune_) == 0
    assert "aaaaaaaaaaaa  kept  it is the checkpoint of a tuning" in capsys.readouterr().out
    assert main([*prune_, "--checkpoints"]) == 4
    assert main([*prune_, "--checkpoints", "--dry-run"]) == 0
    assert capsys.readouterr().out == "would remove aaaaaaaaaaaa, the checkpoint of a tuning, for ever\n"
    assert dead.exists()

    assert main([*prune_, "--checkpoints", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checkpoints"] == [dead.name]
    assert [folder.exists() for folder in (dead, living, mine)] == [False, True, True]
    assert main([*prune_, "--checkpoints", "--yes"]) == 0
    assert "removed" not in capsys.readouterr().out
