"""Bundles as directories: whole, or named for what is wrong with them; published whole, or not at all."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdings import held
from journey import SCENARIO, Hands, active, attempts, compete, count
from stepdown.acts import configure, switch
from stepdown.bundles.disk import MANIFEST_LIMIT, Condition, contents, listing, look, publish, remove
from stepdown.bundles.manifest import NAME, Manifest
from stepdown.digest import sha256
from stepdown.errors import Refused
from stepdown.history import ledger, rows
from stepdown.scenarios.grid_ctf import GridCtf
from stepdown.views.audit import differences
from stepdown.views.route import explain_route
from stepdown.workspace import Workspace

FIXTURES = Path(__file__).parents[1] / "fixtures" / "bundles"
CASES: dict[str, dict[str, Any]] = {
    case["name"]: case for case in json.loads((FIXTURES / "cases.json").read_text("utf-8"))
}
REFUSED = sorted(CASES.keys() - {"whole"})


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_look_at_a_directory_says_what_is_wrong_with_it(name: str) -> None:
    case = CASES[name]
    found = look(FIXTURES / name, case["id"])

    assert found.condition == case["condition"]
    assert case["problem"] in found.problem
    assert (found.manifest is not None) is (found.condition is Condition.WHOLE)
    assert "\n" not in found.problem


def installed(workspace: Workspace, name: str, *, activated: bool = True) -> str:
    """Register a fixture, and make it the slot's bundle, as rows of a better past would have it."""
    case, slot, now = CASES[name], (SCENARIO, "competitor"), workspace.now()
    bound = workspace.terms(GridCtf())
    weights = sha256((FIXTURES / "whole" / "model.safetensors").read_bytes())
    with workspace.writing() as connection:
        ledger.append(
            connection,
            rows.Bundle(case["id"], *slot, "0" * 64, "d" * 64, weights, now, workspace.session.id, now),
            rows.Evaluation("evaluation-x", case["id"], bound.values, bound.digest, 0, 64, 0.9, 0.9, 1.0, now),
        )
        if activated:
            ledger.append(connection, rows.Act("activate", *slot, case["id"], True, "test", "", now))
    shutil.copytree(FIXTURES / name, workspace.bundle_directory(case["id"]), symlinks=True)
    return str(case["id"])


@pytest.mark.parametrize("name", REFUSED)
def test_routing_refuses_it_by_its_reason_and_the_frontier_serves(workspace: Workspace, name: str) -> None:
    installed(workspace, name)
    step = compete(workspace)

    assert (step.served, step.reason) == ("frontier", CASES[name]["reason"])
    asked = ["frontier"] if CASES[name]["reason"] != "local-load-failed" else ["local", "frontier"]
    assert [attempt.target for attempt in attempts(workspace, step)] == asked


@pytest.mark.parametrize("name", sorted(set(REFUSED) - {"unloadable"}))
def test_an_explanation_says_what_is_wrong_and_asks_nobody(workspace: Workspace, name: str) -> None:
    installed(workspace, name)
    found = explain_route(workspace, SCENARIO, "competitor")

    assert (found.serves, found.reason) == ("frontier", CASES[name]["reason"])
    assert CASES[name]["problem"] in found.problem
    assert not workspace.trace.exists()


@pytest.mark.parametrize("name", [n for n in REFUSED if CASES[n]["condition"] != "whole"])
def test_what_is_not_whole_does_not_become_active_even_by_force(workspace: Workspace, name: str) -> None:
    found = installed(workspace, name, activated=False)
    with pytest.raises(Refused) as refusal:
        switch.activate(workspace, found, forced=True)

    assert refusal.value.kind == CASES[name]["reason"]
    assert count(workspace, rows.Act) == 0


@pytest.mark.parametrize("name", [n for n in REFUSED if CASES[n]["condition"] != "whole"])
def test_putting_the_true_files_back_makes_local_serve_again(local: Workspace, name: str) -> None:
    directory = local.bundle_directory(active(local).id)
    directory.rename(local.root / "kept")
    shutil.copytree(FIXTURES / name, directory, symlinks=True)
    assert compete(local).reason == "bundle-integrity"

    shutil.rmtree(directory)
    (local.root / "kept").rename(directory)
    assert compete(local).served == "local"
    assert differences(local) == []


def test_a_file_in_the_place_of_a_directory_is_broken_and_nothing_is_absent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(FIXTURES / "whole")

    assert look(tmp_path / "file", "0" * 64).condition is Condition.BROKEN
    assert look(tmp_path / "link", CASES["whole"]["id"]).condition is Condition.BROKEN
    assert look(tmp_path / "nothing", "0" * 64).condition is Condition.ABSENT
    assert look(tmp_path / "file" / "below", "0" * 64).condition is Condition.ABSENT


def test_a_manifest_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "whole", tmp_path / "bundle")
    with (tmp_path / "bundle" / NAME).open("ab") as file:
        file.truncate(
            MANIFEST_LIMIT * 4096
        )  # A hole: it takes no disk, and reading it whole would take four gigabytes.

    assert "larger than" in look(tmp_path / "bundle", CASES["whole"]["id"]).problem


@pytest.mark.parametrize("put", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_in_the_place_of_the_manifest_is_refused_and_left(
    put: Callable[[Path], None], tmp_path: Path
) -> None:
    shutil.copytree(FIXTURES / "whole", tmp_path / "bundle")
    (tmp_path / "bundle" / NAME).unlink()
    put(tmp_path / "bundle" / NAME)
    before = held(tmp_path)

    found = look(tmp_path / "bundle", CASES["whole"]["id"])

    assert (found.condition, found.problem) == (Condition.BROKEN, "manifest.json: it is no file")
    assert held(tmp_path) == before


def test_a_disk_that_fails_while_a_bundle_is_read_makes_it_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such an error names no file; a bundle on a bad disk must not stop a step."""
    shutil.copytree(FIXTURES / "whole", tmp_path / "bundle")

    def fail(_path: Path, *, limit: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("stepdown.bundles.disk.read_file", fail)
    found = look(tmp_path / "bundle", CASES["whole"]["id"])

    assert (found.condition, found.problem) == (Condition.BROKEN, "a file of it cannot be read: Input/output error")


def test_a_pipe_in_the_bundle_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "whole", tmp_path / "bundle")
    os.mkfifo(tmp_path / "bundle" / "pipe")

    assert "special file" in look(tmp_path / "bundle", CASES["whole"]["id"]).problem


def part(directory: Path, weights: bytes = b"weights") -> tuple[Path, Manifest]:
    """Return a finished job's directory and its manifest."""
    directory.mkdir()
    (directory / "model.safetensors").write_bytes(weights)
    stored = json.loads((FIXTURES / "whole" / NAME).read_bytes())
    stored["trained_at"] = datetime(2026, 3, 1, tzinfo=UTC)
    return directory, replace(Manifest(**stored), files=listing(directory))


def test_publishing_makes_it_whole_and_publishing_again_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "bundles").mkdir()
    directory, manifest = part(tmp_path / "job.part")
    target = publish(directory, manifest, tmp_path / "bundles")
    stamp = (target / NAME).stat().st_mtime_ns

    again, _ = part(tmp_path / "again.part")
    assert publish(again, manifest, tmp_path / "bundles") == target
    assert look(target, manifest.id).condition is Condition.WHOLE
    assert (target / NAME).stat().st_mtime_ns == stamp
    assert [path.name for path in tmp_path.iterdir()] == ["bundles"]


def test_publishing_over_a_broken_directory_mends_it(tmp_path: Path) -> None:
    (tmp_path / "bundles").mkdir()
    target = publish(*part(tmp_path / "job.part"), tmp_path / "bundles")
    (target / "model.safetensors").write_bytes(b"rotten")

    _, manifest = mended = part(tmp_path / "again.part")
    publish(*mended, tmp_path / "bundles")
    assert look(target, manifest.id).condition is Condition.WHOLE
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [manifest.id]


@pytest.mark.parametrize("kind", ["directory", "file", "link", "nothing", "interrupted"])
def test_removing_leaves_nothing_and_touches_nothing_behind_a_link(tmp_path: Path, kind: str) -> None:
    path, kept = tmp_path / "bundle", tmp_path / "kept"
    shutil.copytree(FIXTURES / "whole", kept)
    if kind in {"directory", "interrupted"}:
        shutil.copytree(FIXTURES / "whole", path)
    if kind == "interrupted":
        shutil.copytree(FIXTURES / "whole", tmp_path / ".bundle.removed")
    if kind == "file":
        path.write_text("x")
    if kind == "link":
        path.symlink_to(kept)
    remove(path)

    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]
    assert look(kept, CASES["whole"]["id"]).condition is Condition.WHOLE


def test_the_bytes_that_are_loaded_are_the_bytes_that_were_checked(tmp_path: Path) -> None:
    directory, manifest = part(tmp_path / "job.part")
    assert contents(directory, manifest) == {"model.safetensors": b"weights"}

    (directory / "model.safetensors").write_bytes(b"WEIGHTS")
    with pytest.raises(ValueError, match="changed while it was being loaded"):
        contents(directory, manifest)


@given(st.binary(max_size=60) | st.recursive(st.none() | st.integers() | st.text(max_size=3), st.lists).map(
    lambda value: json.dumps(value).encode()))  # fmt: skip
def test_no_bytes_whatever_are_taken_for_a_manifest(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's, Unicode's and ours are all ValueErrors, and nothing else may come
        Manifest.parse(data)


@given(st.dictionaries(st.sampled_from(["files", "trained_at", "format"]), st.none() | st.integers(-1, 1) | st.text()))
def test_a_manifest_with_a_wrong_value_is_malformed_and_never_a_crash(changes: dict[str, Any]) -> None:
    stored = {**json.loads((FIXTURES / "whole" / NAME).read_bytes()), **changes}
    if changes.keys() - {"format"} or changes.get("format", 1) not in (-1, 0, 1):
        with pytest.raises(ValueError):  # noqa: PT011 - as above
            Manifest.parse(json.dumps(stored).encode())


def test_a_manifest_is_read_back_as_it_was_written() -> None:
    data = (FIXTURES / "whole" / NAME).read_bytes()
    manifest = Manifest.parse(data)

    assert manifest.data == data
    assert manifest.id == CASES["whole"]["id"]


def test_weights_of_another_kind_are_a_failed_local_try_that_opens_the_breaker(
    workspace: Workspace, hands: Hands
) -> None:
    installed(workspace, "unloadable")
    configure.set_policy(workspace, {"breaker_threshold": 2, "breaker_cooldown": 60})

    reasons = [compete(workspace, seed=seed).reason for seed in range(3)]
    assert reasons == ["local-load-failed", "local-load-failed", "local-cooldown"]
    hands.forward(60)
    assert compete(workspace).reason == "local-load-failed"


@pytest.mark.parametrize("more", [{"note": "a stranger's"}, {"edition": 0}, {"losses": {"valid": None, "train": 0.10}}])
def test_bytes_that_this_version_would_not_have_written_are_no_manifest_of_it(more: dict[str, Any]) -> None:
    stored = {**json.loads((FIXTURES / "whole" / NAME).read_bytes()), **more}
    with pytest.raises(ValueError, match="malformed"):
        Manifest.parse(json.dumps(stored).encode())


def test_bundles_of_equal_jobs_have_ids_of_their_own() -> None:
    manifest = Manifest.parse((FIXTURES / "whole" / NAME).read_bytes())
    later = replace(manifest, edition=1)

    assert later.id != manifest.id
    assert Manifest.parse(later.data) == later
