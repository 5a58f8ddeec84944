"""Acts on bundles: each is one row, refused in a sentence where it must be, and none where nothing changes."""

import shutil

import pytest

from journey import SCENARIO, active, compete, count, scouted
from stepdown.acts import configure, switch
from stepdown.bundles.standing import Status
from stepdown.errors import NotFound, Refused
from stepdown.history import reader, rows
from stepdown.views.audit import differences
from stepdown.views.bundles import entry, shelf, verify
from stepdown.workspace import Settings, Workspace


def acts(workspace: Workspace) -> list[str]:
    """Return the kinds of all acts, oldest first."""
    with workspace.reading() as connection:
        return [act.kind for act in reader.acts(connection)]


def test_an_act_says_who_and_why_and_an_act_that_changes_nothing_is_none(local: Workspace) -> None:
    held = active(local).id
    switch.disable(local, held, by="ada", why="a trial")
    switch.disable(local, held, by="bob", why="again")
    switch.enable(local, held)
    switch.enable(local, held)
    switch.activate(local, held, forced=True)

    assert acts(local) == ["activate", "disable", "enable"]
    with local.reading() as connection:
        (_, disabled, _) = reader.acts(connection)
    assert (disabled.by, disabled.why, disabled.at) == ("ada", "a trial", local.now())


@pytest.mark.parametrize("name", ["", "0", "f" * 64, "%", "_", "../bundles", "a b", "*"])
@pytest.mark.parametrize("act", [switch.activate, switch.disable, switch.delete, switch.retire])
def test_a_name_that_fits_no_bundle_is_refused(local: Workspace, act: object, name: str) -> None:
    if active(local).id.startswith(name) and name:
        return
    with pytest.raises(NotFound) as refusal:
        act(local, name)  # type: ignore[operator]
    assert refusal.value.kind == "unknown-bundle"
    assert acts(local) == ["activate"]


def test_a_beginning_of_the_id_is_enough(local: Workspace) -> None:
    held = active(local).id

    assert switch.disable(local, held[:6]).id == held


def test_a_disabled_bundle_stays_its_slots_and_does_not_become_active(local: Workspace) -> None:
    held = active(local).id
    switch.disable(local, held)

    assert active(local).id == held
    with pytest.raises(Refused) as refusal:
        switch.activate(local, held, forced=True)
    assert refusal.value.kind == "bundle-disabled"


def test_a_bundle_that_is_gone_or_changed_does_not_become_active(local: Workspace) -> None:
    held = active(local).id
    (local.bundle_directory(held) / "config.json").write_text("{}")
    with pytest.raises(Refused) as broken:
        switch.activate(local, held, forced=True)
    shutil.rmtree(local.bundle_directory(held))
    with pytest.raises(Refused) as gone:
        switch.activate(local, held, forced=True)

    assert [broken.value.kind, gone.value.kind] == ["bundle-integrity", "bundle-absent"]


@pytest.mark.parametrize("end", [switch.retire, switch.delete])
def test_the_end_is_the_end(local: Workspace, end: object) -> None:
    held = active(local).id
    end(local, held)  # type: ignore[operator]
    end(local, held)  # type: ignore[operator]

    for act in (switch.activate, switch.enable, switch.disable):
        with pytest.raises(Refused) as refusal:
            act(local, held)
        assert refusal.value.kind == "bundle-retired"
    assert compete(local).reason == "bundle-absent"
    assert entry(local, held).status is Status.RETIRED
    assert differences(local) == []


def test_deleting_removes_the_files_and_retiring_keeps_them(local: Workspace) -> None:
    held = active(local).id
    switch.retire(local, held)
    assert local.bundle_directory(held).exists()

    switch.delete(local, held)
    assert not local.bundle_directory(held).exists()
    assert acts(local) == ["activate", "retire", "delete"]


def test_a_bundle_without_a_verdict_is_not_activated_unless_somebody_answers_for_it(
    local: Workspace, settings: Settings
) -> None:
    held = active(local)
    other = scouted(local.root, settings).bundle
    with pytest.raises(Refused) as refusal:
        switch.activate(local, other.id)
    assert refusal.value.kind == "not-promoted"
    assert acts(local) == ["activate"]

    switch.activate(local, other.id, forced=True, by="ada")
    with local.reading() as connection:
        *_, last = reader.acts(connection)
    assert (last.bundle, last.role, last.forced, last.by) == (other.id, "scout", True, "ada")
    assert active(local) == held


def test_the_shelf_shows_rows_and_directories_together(local: Workspace) -> None:
    held = active(local).id
    (found,) = shelf(local)
    assert (found.bundle.id, found.status, found.condition) == (held, "active", "whole")

    (local.bundle_directory(held) / "tokenizer.json").write_bytes(b"{}")
    (found,) = shelf(local)
    assert (found.condition, found.promise) == ("broken", None)
    assert "tokenizer.json" in found.problem


def test_verifying_opens_the_weights(local: Workspace) -> None:
    held = active(local).id
    assert verify(local, held).condition == "whole"

    (local.bundle_directory(held) / "model.safetensors").unlink()
    assert verify(local, held).condition == "broken"


def test_an_unknown_scenario_or_validator_is_refused_and_changes_nothing(workspace: Workspace) -> None:
    for scenario, validator, kind in (("chess", "budget", "unknown-scenario"), (SCENARIO, "x", "unknown-validator")):
        with pytest.raises(NotFound) as refusal:
            configure.switch_validator(workspace, scenario, validator, enabled=False)
        assert refusal.value.kind == kind
    assert count(workspace, rows.HarnessSwitch) == 0
