"""A bundle serves only the text that it was trained with: whoever edits a prompt's text need not remember to bump a number."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from journey import Hands, steps
from stepdown.acts import configure, switch
from stepdown.acts.ask import live
from stepdown.acts.datasets import opened as opened_dataset
from stepdown.acts.export import export
from stepdown.acts.localize import localize
from stepdown.acts.opening import open_workspace
from stepdown.acts.promote import promote
from stepdown.acts.resume import resume_run
from stepdown.acts.run import play, start
from stepdown.bundles.manifest import Manifest
from stepdown.errors import DatasetError, InvalidValue, ProviderError, Refused
from stepdown.history import ledger, rows
from stepdown.providers.installed import frontier_named
from stepdown.providers.protocol import Request
from stepdown.scenarios import prompt
from stepdown.scenarios.grid_ctf import GridCtf
from stepdown.scenarios.invoices import Invoices
from stepdown.scenarios.shipped import tickets
from stepdown.scenarios.tasks import Task
from stepdown.scenarios.wording import wording
from stepdown.training.decoding import Decoding
from stepdown.training.evaluation import terms
from stepdown.training.plan import Plan
from stepdown.training.promotion import Trial
from stepdown.training.records import Filters
from stepdown.views.audit import differences, unchecked
from stepdown.views.route import explain_route
from stepdown.workspace import Settings, Workspace
from stepdown.workspace.task import Beside
from stepdown.workspace.task import read as read_task

TEXT = "$scenario v$version competitor\nplaybook: $playbook\nhints: $hints\nCase: $case\nAnswer:\n"
EDITED = TEXT.replace("Answer:", "Your answer:")
OTHER = {"competitor": EDITED.removesuffix("\n")}


@pytest.fixture(autouse=True)
def task(tmp_path: Path) -> None:
    rows_ = [json.dumps({"input": f"case {number}", "expected": 1}) for number in range(60)]
    (tmp_path / "stepdown.toml").write_text('name = "ours"\nprompt = "prompt.txt"\n[judge]\nkind = "exact"\n', "utf-8")
    (tmp_path / "cases.jsonl").write_text("\n".join(rows_), "utf-8")
    (tmp_path / "answer.schema.json").write_text('{"enum": [0, 1, 2]}', "utf-8")
    (tmp_path / "instructions.txt").write_text("Say one.", "utf-8")
    (tmp_path / "prompt.txt").write_text(TEXT, "utf-8")


@pytest.fixture
def hands() -> Hands:
    return Hands()


def again(directory: Path, hands: Hands) -> Workspace:
    """Open the workspace beside the task, whose files are read anew."""
    return open_workspace(
        directory / ".stepdown", settings=Settings(clock=hands.clock, durability="normal", scenario=Beside(directory))
    )


def discovered(workspace: Workspace) -> rows.Run:
    return play(start(workspace, "ours", generations=2, candidates=20, frontier="labels"))


@pytest.fixture
def trained(tmp_path: Path, hands: Hands) -> Iterator[str]:
    """A bundle of the task in the slot, and a policy that lets it serve."""
    with again(tmp_path, hands) as workspace:
        discovered(workspace)
        bundle = localize(workspace, export(workspace, Filters("ours")).path, plan=Plan.tiny(iterations=60)).bundle
        configure.set_policy(workspace, {"min_score": 0, "min_valid": 0, "local_timeout": 60})
        switch.activate(workspace, bundle.id, forced=True)
    return bundle.id


def served(workspace: Workspace) -> set[tuple[str | None, str | None]]:
    run = play(start(workspace, "ours", generations=1, candidates=2, frontier="labels"))
    return {(step.served, step.reason) for step in steps(workspace, run.id) if step.role == "competitor"}


def test_a_bundle_does_not_serve_an_edited_text_and_serves_again_when_it_is_restored(
    tmp_path: Path, hands: Hands, trained: str
) -> None:
    with again(tmp_path, hands) as workspace:
        version = workspace.scenario("ours").version
        assert explain_route(workspace, "ours").serves == "local"

    (tmp_path / "prompt.txt").write_text(EDITED, "utf-8")
    with again(tmp_path, hands) as workspace:
        assert workspace.scenario("ours").version == version
        assert served(workspace) == {("frontier", "bundle-incompatible")}
        assert "the prompt's text is another" in explain_route(workspace, "ours").problem
        with pytest.raises(Refused, match="could not serve: the prompt's text is another") as refusal:
            promote(workspace, trained, trial=Trial(look=8, budget=8), frontier="labels")
        assert refusal.value.kind == "bundle-incompatible"
        assert differences(workspace) == []
        assert any(line.startswith("another text: ") for line in unchecked(workspace))

    (tmp_path / "prompt.txt").write_text(TEXT, "utf-8")
    with again(tmp_path, hands) as workspace:
        assert explain_route(workspace, "ours").serves == "local"
        assert explain_route(workspace, "ours").problem == ""
        assert {reason for _, reason in served(workspace)} - {"local-invalid-output"} == {None}
        assert differences(workspace) == []


def test_a_text_that_changes_while_a_session_lasts_takes_its_evaluations_with_it_and_brings_them_back(
    tmp_path: Path, hands: Hands, trained: str
) -> None:
    """The task's files are read at every look, so one process serves with both texts."""

    def anew(_name: str) -> Task:
        task = read_task(tmp_path)
        assert task is not None
        return task

    settings = Settings(clock=hands.clock, durability="normal", scenario=anew)
    with open_workspace(tmp_path / ".stepdown", settings=settings) as workspace:
        reasons = []
        for text in (TEXT, EDITED, TEXT):
            (tmp_path / "prompt.txt").write_text(text, "utf-8")
            reasons.append({reason for _, reason in served(workspace)} - {"local-invalid-output"})

        assert reasons == [{None}, {"bundle-incompatible"}, {None}]
        assert trained
        assert differences(workspace) == []


def test_an_export_leaves_out_what_was_asked_with_another_text_and_counts_it(tmp_path: Path, hands: Hands) -> None:
    with again(tmp_path, hands) as workspace:
        discovered(workspace)
        first = export(workspace, Filters("ours"))
    (tmp_path / "prompt.txt").write_text(EDITED, "utf-8")
    with again(tmp_path, hands) as workspace:
        with pytest.raises(DatasetError, match=f"All {first.records} steps .* another text"):
            export(workspace, Filters("ours"))
        with pytest.raises(DatasetError, match="another text than prompts have now"):
            localize(workspace, first.path, plan=Plan.tiny(iterations=60))
        discovered(workspace)
        second = export(workspace, Filters("ours"))
        stored = opened_dataset(second.path)[1]
        lines = [json.loads(line)["prompt"] for line in (second.path / "train.jsonl").read_text("utf-8").splitlines()]

        assert (first.reworded, second.reworded) == (0, first.records)
        assert stored["prompts"] == wording(workspace.scenario("ours"), "competitor").digest
        assert all(line.endswith("Your answer:") for line in lines)


def test_a_whole_bundle_whose_manifest_names_another_text_is_incompatible(
    tmp_path: Path, hands: Hands, trained: str
) -> None:
    """The forged manifest hashes to its id, lists its files and is registered: the text alone speaks against it."""
    with again(tmp_path, hands) as workspace:
        directory = workspace.bundle_directory(trained)
        honest = Manifest.parse((directory / "manifest.json").read_bytes())
        forged = replace(honest, prompts="0" * 64)
        target = workspace.bundle_directory(forged.id)
        directory.rename(target)
        (target / "manifest.json").write_bytes(forged.data)
        with workspace.writing() as connection:
            ledger.append(
                connection,
                rows.Bundle(
                    id=forged.id,
                    scenario=forged.scenario,
                    role=forged.role,
                    job=forged.job,
                    dataset=forged.dataset,
                    weights_digest=forged.weights_digest,
                    trained_at=forged.trained_at,
                    session=workspace.session.begin(),
                    at=workspace.now(),
                ),
            )
        switch.activate(workspace, forged.id, forced=True)

        assert honest.prompts == wording(workspace.scenario("ours"), "competitor").digest
        assert explain_route(workspace, "ours").reason == "bundle-incompatible"


def test_a_run_is_not_resumed_with_another_text(tmp_path: Path, hands: Hands) -> None:
    with again(tmp_path, hands) as workspace:
        run = start(workspace, "ours", generations=2, candidates=4, frontier="labels")
        with pytest.raises(KeyboardInterrupt):
            play(run, watch=_stop)
    (tmp_path / "prompt.txt").write_text(EDITED, "utf-8")
    with again(tmp_path, hands) as workspace, pytest.raises(Refused, match="another text"):
        resume_run(workspace, "run-1")


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no case", "where the case stands"),
        ("$case $colour", "colour"),
        ("$case $", "cannot be filled"),
        ("$case \0", "NUL"),
    ],
)
def test_a_text_that_cannot_be_asked_is_refused_with_its_file(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "prompt.txt").write_text(text, "utf-8")
    with pytest.raises(InvalidValue, match=rf"prompt\.txt.*{words}"):
        read_task(tmp_path)


def test_text_and_rules_change_the_digest_and_case_knowledge_and_version_do_not() -> None:
    plain = replace(tickets(), prompts={"competitor": "$rules $case"})
    changed = [
        replace(plain, prompts={"competitor": "$rules: $case"}),
        replace(plain, rules=f"{plain.rules} Please."),
        replace(plain, name="others", prompts={"competitor": "$scenario $rules $case"}),
        replace(plain, prompts={"competitor": "$rules $$case $case"}),
    ]
    same = replace(plain, label=7, cases=plain.cases[:-1])

    assert len({wording(each, "competitor").digest for each in (plain, *changed)}) == 5
    assert same.version != plain.version
    assert wording(same, "competitor") == wording(plain, "competitor")


def test_an_evaluation_of_one_text_does_not_count_for_another() -> None:
    one, other = tickets(), replace(tickets(), prompts=OTHER)

    assert terms(one, Decoding()).digest != terms(other, Decoding()).digest
    assert "prompts" not in terms(one, Decoding()).values


@pytest.mark.parametrize("scenario", [GridCtf(), tickets()], ids=lambda each: each.name)
@pytest.mark.parametrize("role", sorted(prompt.FIRST))
def test_what_names_no_text_is_of_the_first_and_of_no_edited_one(scenario: object, role: str) -> None:
    """The shipped texts are still the first: whoever edits one sees here that older bundles stop serving."""
    assert prompt.question(scenario, role) == prompt.FIRST[role]  # type: ignore[arg-type]
    assert wording(scenario, role).is_of("")  # type: ignore[arg-type]
    assert not wording(replace(tickets(), prompts=OTHER), "competitor").is_of("")


@pytest.mark.parametrize("text", ["$case", "Of $playbook: <$case> in $hints", "$case?\n$rules"])
def test_labels_and_extract_are_given_the_case_and_cut_it_out_of_no_text(
    text: str, tmp_path: Path, hands: Hands
) -> None:
    """Whatever words a question has, and however its case is written in it."""
    (tmp_path / "prompt.txt").write_text(text, "utf-8")
    with again(tmp_path, hands) as workspace:
        run = play(start(workspace, "ours", generations=1, candidates=8, frontier="labels"))
        answered = steps(workspace, run.id)
        with live(workspace, "ours", frontier="labels") as desk:
            labelled, strange = desk.ask({"text": "case 4"}), desk.ask({"text": "case of nobody"})
        assert differences(workspace) == []

    class Reworded(Invoices):
        prompts: ClassVar = {"competitor": text}

    settings = Settings(clock=hands.clock, durability="normal", scenario=lambda _: Reworded())
    with open_workspace(tmp_path / "invoices", settings=settings) as workspace:
        with live(workspace, "invoices", frontier="extract") as desk:
            read = desk.ask({"text": "Invoice INV-7 of 4 March 2025: 12.50 EUR."})
        assert differences(workspace) == []

    assert {(step.outcome, step.score) for step in answered} == {("served", 1.0)}
    assert (labelled.value, strange.error) == (1, "not-labelled")
    assert read.value == {"amount": 12.5, "currency": "EUR", "date": "2025-03-04", "number": "INV-7"}


def test_extract_refuses_in_a_word_what_has_no_text_to_read() -> None:
    """It reads no prose: a prompt that holds a sentence is none."""
    asked = Request("run-1/1/0/1", "competitor", "observation: text=12.50 EUR", {}, 0, 1.0, case={"photo": "7.jpg"})

    with pytest.raises(ProviderError, match="no text to read") as failure:
        frontier_named("extract", Invoices()).complete(asked)
    assert failure.value.error_type == "no-sentence"
