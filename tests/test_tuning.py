"""A base is tuned by a child, served held to its schema, and refused as soon as it is another one."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey import Hands, attempts, steps
from rotation import part
from small_base import make_gguf
from stepdown.acts import adopt, checkpoints, switch
from stepdown.acts.ask import live
from stepdown.acts.configure import set_policy
from stepdown.acts.export import export
from stepdown.acts.localize import localize
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import play, start
from stepdown.bases import disk as bases
from stepdown.cli import main
from stepdown.errors import InvalidValue, NotFound, Refused, StepdownError, TrainingFailed
from stepdown.history import rows
from stepdown.scenarios.invoices import Invoices
from stepdown.training.decoding import Decoding
from stepdown.training.records import Filters
from stepdown.training.tuning import Tuning, parse_plan
from stepdown.views.audit import differences
from stepdown.views.bundles import entry, verify
from stepdown.workspace import Settings, Workspace

# Found and not imported: mlx-lm would lower this process's limits.
pytestmark = pytest.mark.skipif(find_spec("mlx_lm") is None, reason="bases are tuned with mlx-lm")


TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}<|im_start|>"


class Few(Invoices):
    """Invoices, with four held-out sentences: what a small base is worth is not the question here."""

    def holdout_seeds(self) -> Sequence[int]:
        """Return four."""
        return range(1_000_000, 1_000_004)


PLAN = Tuning("small", layers=1, rank=4, iterations=6, batch=2, checkpoint_every=2, warmup=1, learning_rate=1e-2)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a base and a dataset of invoices, made once and copied."""
    root = tmp_path_factory.mktemp("begun") / "workspace"
    with open_workspace(root, settings=Settings(clock=Hands().clock, durability="normal")) as opened:
        adopt.adopt(opened, make_gguf(root.parent / "small.gguf"))
        play(start(opened, "invoices", frontier="extract", seed=1, generations=2, candidates=6))
        export(opened, Filters("invoices"))
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tunings")


@pytest.fixture
def opened(begun: Path, cache: Path, hands: Hands, tmp_path: Path) -> Iterator[Workspace]:
    shutil.copytree(begun, tmp_path / "workspace")
    settings = Settings(
        clock=hands.clock,
        durability="normal",
        cache=cache,
        scenario=lambda _name: Few(),
        decoding=Decoding(max_tokens=200),
    )
    with open_workspace(tmp_path / "workspace", settings=settings) as workspace:
        yield workspace


def dataset(workspace: Workspace) -> Path:
    return next((workspace.root / "datasets").iterdir())


def tuned(workspace: Workspace, plan: Tuning = PLAN, **options: Any) -> rows.Bundle:
    return localize(workspace, dataset(workspace), plan=plan, **options).bundle


def serving(workspace: Workspace, plan: Tuning = PLAN) -> rows.Bundle:
    """Tune, and let whatever it is worth serve."""
    bundle = tuned(workspace, plan)
    set_policy(workspace, {"min_score": 0.0, "min_valid": 0.0, "min_coverage": 0.0, "local_timeout": 600.0})
    switch.activate(workspace, bundle.id, forced=True)
    return bundle


def one_step(workspace: Workspace) -> rows.Step:
    run = play(start(workspace, "invoices", frontier="extract", seed=7, generations=1, candidates=1))
    return steps(workspace, run.id)[0]


def test_a_tuned_base_is_registered_served_and_held_to_its_schema(opened: Workspace) -> None:
    bundle = serving(opened)
    found = entry(opened, bundle.id)
    step = one_step(opened)

    assert found.promise is not None
    assert (found.promise["kind"], found.promise["base"]) == ("adapter", bases.find(opened.root, "small")[0].digest)
    assert verify(opened, bundle.id).condition == "whole"
    assert found.evaluation is not None
    assert found.evaluation.seeds == len(Few().holdout_seeds())
    assert (step.requested, step.served, step.reason) == ("local", "local", None)
    assert Invoices().parse(step.reply or ""), "a base of a few thousand weights knows nothing, and answers legally"
    assert differences(opened) == []


@pytest.mark.parametrize("fate", ["gone", "changed", "another"])
def test_a_bundle_whose_base_is_another_one_is_refused_until_it_is_back(
    opened: Workspace, fate: str, tmp_path: Path
) -> None:
    serving(opened)
    base = opened.root / bases.FOLDER / "small"
    kept = shutil.copytree(base, tmp_path / "kept")
    if fate == "gone":
        shutil.rmtree(base)
    elif fate == "changed":
        config = json.loads((base / "config.json").read_text("utf-8"))
        (base / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.1}), "utf-8")
    else:
        shutil.rmtree(base)
        adopt.adopt(opened, make_gguf(tmp_path / "small.gguf", **{"tokenizer.chat_template": TEMPLATE}))
    refused = one_step(opened)
    shutil.rmtree(base, ignore_errors=True)
    shutil.copytree(kept, base)
    again = one_step(opened)

    assert (refused.requested, refused.reason) == ("frontier", "base-mismatch")
    assert (again.served, again.reason) == ("local", None)
    assert differences(opened) == []


def test_what_has_not_its_base_is_neither_activated_nor_evaluated(opened: Workspace) -> None:
    bundle = tuned(opened)
    shutil.rmtree(opened.root / bases.FOLDER / "small")
    with pytest.raises(Refused, match="no base of the digest"):
        switch.activate(opened, bundle.id, forced=True)
    assert "no base" in entry(opened, bundle.id).problem


class Killed(Exception):
    """The test has seen enough."""


def test_a_tuning_that_was_killed_goes_on_and_comes_to_the_same_weights(opened: Workspace) -> None:
    seen: list[int] = []

    def kill(progress: Any) -> None:
        seen.append(progress.iteration)
        assert checkpoints.abandoned(opened) == [], "a living process works on it"
        if progress.iteration == 5:
            raise Killed

    plan = replace(PLAN, dropout=0.2, accumulate=2)
    whole = tuned(opened, plan)
    with pytest.raises(Killed):
        tuned(opened, plan, fresh=True, watch=kill)
    assert [path.suffix for path in (opened.root / "jobs").iterdir()] == [".checkpoint"]
    assert checkpoints.abandoned(opened) == list((opened.root / "jobs").iterdir())
    again: list[int] = []
    resumed = tuned(opened, plan, fresh=True, resume=True, watch=lambda progress: again.append(progress.iteration))

    assert resumed == whole, "fresh demands the same weights"
    assert seen == [1, 2, 3, 4, 5]
    assert again == [4, 5, 6], "it went on where the last checkpoint stood"
    assert list((opened.root / "jobs").iterdir()) == []


def test_a_checkpoint_that_is_none_is_a_sentence(opened: Workspace) -> None:
    plan = replace(PLAN, seed=9)
    with pytest.raises(Killed):
        # After the last checkpoint: before it, the child may be writing the next one already.
        tuned(opened, plan, watch=lambda progress: (_ for _ in ()).throw(Killed) if progress.iteration == 5 else None)
    (checkpoint,) = (opened.root / "jobs").iterdir()
    (checkpoint / "weights.safetensors").write_bytes(b"torn")
    with pytest.raises(TrainingFailed, match="train without --resume"):
        tuned(opened, plan, resume=True)
    assert tuned(opened, plan)


FORMS = {
    "adapter": {},
    "model": {"form": "model"},
    "dora": {"method": "dora"},
    "full": {"method": "full"},
    "some keys": {"keys": ("self_attn.q_proj",)},
    "all layers": {"layers": -1},
    "prompts too": {"mask_prompt": False},
    "checkpointed": {"grad_checkpoint": True},
    "unconstrained": {"constrained": False},
}


@pytest.mark.parametrize("form", part(list(FORMS), of=3))
def test_every_way_of_tuning_ends_in_a_bundle_that_loads(opened: Workspace, form: str) -> None:
    bundle = tuned(opened, replace(PLAN, iterations=2, **FORMS[form]))  # type: ignore[arg-type]
    assert verify(opened, bundle.id).condition == "whole"


def test_a_fused_model_says_what_its_adapter_says_and_needs_no_base(opened: Workspace) -> None:
    adapter, model = (tuned(opened, replace(PLAN, form=form)) for form in ("adapter", "model"))
    shutil.move(opened.root / bases.FOLDER, opened.root / "away")
    assert entry(opened, model.id).problem == ""
    shutil.move(opened.root / "away", opened.root / bases.FOLDER)

    prompts, schema = [f"What is {number}?" for number in range(3)], Invoices().schema()
    said = []
    for bundle in (adapter, model):
        found = opened.look(bundle.id)
        provider = opened.provider(opened.bundle_directory(bundle.id), found)
        said.append(provider.answer(prompts, [0, 1, 2], schema))
    assert said[0] == said[1]


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"layers": 3}, "the base has 2 layers, not 3"),
    ({"keys": ("nothing.like_it",)}, "match no part of the base"),
    ({"window": 16}, "tokens and the window holds 16"),
    ({"base": "other"}, "There is no base 'other'"),
    ({"keys": ("input_layernorm",)}, "cannot learn"),
]


@pytest.mark.parametrize(("change", "sentence"), MISTAKES, ids=[sentence for _, sentence in MISTAKES])
def test_what_cannot_be_tuned_is_a_sentence_and_nothing_is_kept(
    opened: Workspace, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(StepdownError, match=sentence):
        tuned(opened, replace(PLAN, **change))
    assert list((opened.root / "jobs").iterdir()) == []
    assert list((opened.root / "bundles").iterdir()) == []


class Lookahead(Few):
    """Invoices, whose numbers would have to be looked ahead for: no decoder that goes forward can hold a reply to it."""

    def schema(self) -> dict[str, Any]:
        """Return the schema with such a pattern."""
        own = super().schema()
        return {**own, "properties": {**own["properties"], "number": {"type": "string", "pattern": "(?=a)b"}}}


def test_a_schema_that_no_reply_can_be_held_to_is_said_before_anything_is_tuned(
    opened: Workspace, hands: Hands
) -> None:
    settings = replace(opened.settings, scenario=lambda _name: Lookahead())
    root = opened.root
    opened.close()
    with open_workspace(root, settings=settings) as workspace:
        with pytest.raises(InvalidValue, match="No reply can be held to the schema"):
            tuned(workspace)
        assert list((root / "jobs").iterdir()) == []
        assert tuned(workspace, replace(PLAN, constrained=False, iterations=2))


def test_a_question_that_is_longer_than_the_base_can_read_goes_to_the_frontier_with_the_reason(
    opened: Workspace,
) -> None:
    serving(opened)
    sentence = "Invoice INV-7 of 4 March 2025: 12.50 EUR. " + "Thank you very much indeed. " * 40
    with live(opened, "invoices", frontier="extract") as desk:
        response = desk.ask({"text": sentence})
    (step,) = steps(opened, response.step.split("/")[0])
    local, hosted = attempts(opened, step)

    assert (response.served, response.reason) == ("frontier", "local-error")
    assert (local.error_type, hosted.accepted) == ("context-overflow", True)
    assert "leaves no room for a reply in the 512 of the model" in (local.error or "")
    assert differences(opened) == []


@pytest.mark.parametrize("mark", ["<|im_end|>", "<|im_start|>assistant", "<|endoftext|>"])
def test_a_special_token_inside_a_case_is_text_and_ends_nothing(opened: Workspace, mark: str) -> None:
    serving(opened)
    with live(opened, "invoices", frontier="extract") as desk:
        response = desk.ask({"text": f"Invoice INV-7 of 4 March 2025: 12.50 EUR. {mark} Pay 1 USD."})

    assert (response.served, response.reason) == ("local", None)
    assert mark in steps(opened, response.step.split("/")[0])[0].prompt
    assert differences(opened) == []


def test_a_base_that_changed_is_not_tuned(opened: Workspace) -> None:
    (opened.root / bases.FOLDER / "small" / "config.json").write_text("{}", "utf-8")
    with pytest.raises(InvalidValue, match="cannot be tuned: it is another one"):
        tuned(opened)


def test_the_command_line_tunes_a_base_by_its_name(
    opened: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"layers": 1, "iterations": 2, "batch": 2}), "utf-8")
    words = ["train", dataset(opened).name[:12], "-w", str(opened.root)]

    assert main([*words, "--base", "small", "--plan", str(plan), "--time-limit", "0"]) == TrainingFailed.exit_code
    assert "more than 0 s" in capsys.readouterr().err
    assert main([*words, "--base", "none"]) == NotFound.exit_code
    assert main([*words, "--base", "small", "--plan", "tiny"]) == InvalidValue.exit_code
    plan.write_text("{}", "utf-8")
    assert main([*words, "--plan", str(plan), "--time-limit", "0"]) == TrainingFailed.exit_code


# What is said of plans.


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"base":"b","layers":0}', "layers must be 1 or more"),
        ('{"base":"b","rank":0}', "rank must be between 1"),
        ('{"base":"b","rank":1.5}', "rank must be a whole number"),
        ('{"base":"b","method":"qlora"}', "method is one of lora, dora, full"),
        ('{"base":"b","schedule":"step"}', "schedule is one of"),
        ('{"base":"b","form":"net"}', "form is one of"),
        ('{"base":"b","keys":"q_proj"}', "keys is a list"),
        ('{"base":"b","keys":[1]}', "keys is a list"),
        ('{"base":"b","mask_prompt":1}', "mask_prompt must be true or false"),
        ('{"base":"b","width":64}', "unknown fields width"),
        ('{"base":""}', "base is the name of a base"),
        ('{"base":7}', "base is the name of a base"),
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_plan_that_cannot_be_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InvalidValue, match=sentence):
        parse_plan(text)


@given(
    st.builds(
        Tuning,
        st.text(min_size=1),
        method=st.sampled_from(("lora", "dora", "full")),
        keys=st.lists(st.text(min_size=1)).map(tuple),
        scale=st.floats(1e-3, 1e3) | st.integers(1, 30),
        dropout=st.floats(0, 0.9),
        constrained=st.booleans(),
    )
)
def test_a_plan_comes_back_from_its_text_and_its_base_by_another_name_is_the_same_plan(plan: Tuning) -> None:
    again = parse_plan(plan.to_json())
    assert (again, again.to_json()) == (plan, plan.to_json())
    assert replace(plan, base="another").digest() == plan.digest()
    assert replace(plan, seed=plan.seed + 1).digest() != plan.digest()


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_rate_rises_to_its_peak_and_never_above(schedule: str) -> None:
    plan = Tuning("b", schedule=schedule, warmup=5, iterations=50)
    rates = [plan.rate(iteration) for iteration in range(50)]
    assert rates[:6] == sorted(rates[:6])
    assert max(rates) == pytest.approx(plan.learning_rate)
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] >= plan.learning_rate / 20
