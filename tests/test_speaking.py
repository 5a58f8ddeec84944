"""A pretrained model is asked in the words of its own template, in batches that change nothing, and held to a schema."""

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_base import make_gguf
from stepdown.acts import adopt
from stepdown.acts.opening import open_workspace
from stepdown.bases import disk
from stepdown.errors import ContextOverflow, InvalidValue, LoadFailed, LocalError, LocalTimeout
from stepdown.scenarios.invoices import Invoices

# Found and not imported: mlx-lm would lower this process's limits.
pytestmark = pytest.mark.skipif(find_spec("mlx_lm") is None, reason="pretrained models are opened with mlx-lm")

MARKS = ("<|im_end|>", "<|im_start|>", "<|endoftext|>", "(the prompt)", "(the answer)")
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(MARKS), min_size=1).map("".join)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """The files of a base of a few thousand weights."""
    from stepdown.local.pretrained import read_directory

    root = tmp_path_factory.mktemp("speaking")
    with open_workspace(root / "w") as workspace:
        adopt.adopt(workspace, make_gguf(root / "small.gguf"))
        return read_directory(workspace.root / disk.FOLDER / "small")


@pytest.fixture(scope="module")
def speaker(files: Mapping[str, bytes]) -> Any:
    from stepdown.local.speak import load

    return load({**files, "serving.json": b'{"constrained":true}'})


@pytest.fixture(scope="module")
def chat(speaker: Any) -> Any:
    return speaker._model.chat


def schema(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def test_what_is_asked_is_the_template_byte_for_byte(chat: Any) -> None:
    words = "<|im_start|>user\nthe 2026 apples<|im_end|>\n<|im_start|>assistant"  # jinja leaves out a last line break
    assert chat.before + "the 2026 apples" + chat.after == words
    assert chat._marks.decode(chat.prompt("the 2026 apples"), skip_special_tokens=False) == words


@given(text=TEXTS.filter(bool))
def test_no_text_can_end_a_turn_or_begin_one_and_every_answer_comes_back(chat: Any, text: str) -> None:
    special = set(chat._marks.get_added_tokens_decoder())
    inner = chat.prompt(text)[len(chat._before) : -len(chat._after)]

    assert special.isdisjoint(inner)
    assert chat.completion(text)[-1] == chat.end
    assert special.isdisjoint(chat.completion(text)[:-1])
    assert chat.text(chat.completion(text)) == text


@pytest.mark.parametrize("text", ["", "\ud800"])
def test_what_is_no_text_cannot_be_asked(chat: Any, text: str) -> None:
    with pytest.raises(InvalidValue):
        chat.prompt(text)


TEMPLATES = {
    "none": (None, "no chat template"),
    "one that raises": ("{{ raise_exception('no') }}", "chat template fails"),
    "one that cannot be read": ("{% for", "chat template fails"),
    "one that leaves the question out": ("<|im_start|>", "leaves out what is asked"),
    "one that asks twice": ("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}", "says it twice"),
}


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_template_that_cannot_be_used_is_a_sentence(files: Mapping[str, bytes], kind: str) -> None:
    from stepdown.local.speak import load

    template, sentence = TEMPLATES[kind]
    changed = {path: data for path, data in files.items() if path != "chat_template.jinja"}
    settings_ = json.loads(changed["tokenizer_config.json"])
    settings_.pop("chat_template", None)
    if template is not None:
        settings_["chat_template"] = template
    changed["tokenizer_config.json"] = json.dumps(settings_).encode()
    with pytest.raises(LoadFailed, match=sentence):
        load({**changed, "serving.json": b'{"constrained":true}'})


SCHEMAS = [
    {
        **Invoices().schema(),
        "properties": {**Invoices().schema()["properties"], "amount": {"type": "integer", "maximum": 9e5}},
    },
    {"enum": ["billing", "technical", "other"]},
    {"type": "boolean"},
    schema(one={"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "maxItems": 3}),
    schema(b={"type": "string", "maxLength": 5}, a={"type": "null"}),
]


@pytest.mark.parametrize("wanted", SCHEMAS, ids=json.dumps)
@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_a_model_that_knows_nothing_answers_as_its_schema_says(
    speaker: Any, wanted: Mapping[str, Any], temperature: float
) -> None:
    replies = speaker.generate(
        [f"Question {n}" for n in range(6)], max_tokens=250, temperature=temperature, schema=wanted
    )
    ended = [reply for reply in replies if reply.finished]

    assert len(ended) >= 4, "a text may be as long as the limit, and then that ends the reply"
    for reply in ended:
        jsonschema.validate(json.loads(reply.text), wanted)
        assert ": " not in reply.text.replace(json.dumps(": "), ""), "written as answers are: no spaces"


def test_names_come_in_the_order_of_an_answers_canonical_text(speaker: Any) -> None:
    wanted = schema(b={"type": "boolean"}, a={"type": "boolean"})
    (reply,) = speaker.generate(["?"], max_tokens=60, schema=wanted)
    assert list(json.loads(reply.text)) == ["a", "b"]


@pytest.mark.parametrize("wanted", [{"type": "string", "pattern": "(?=a)b"}, {"type": "nothing"}, {"$ref": "#/none"}])
def test_a_schema_that_nobody_can_be_held_to_is_a_sentence(speaker: Any, wanted: Mapping[str, Any]) -> None:
    with pytest.raises(LocalError, match="No reply can be held"):
        speaker.generate(["?"], max_tokens=20, schema=wanted)


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_a_prompt_is_answered_alike_alone_and_in_a_batch_of_others(speaker: Any, temperature: float) -> None:
    prompts = [f"{'Long words before it. ' * (n % 3)}Question {n}" for n in range(7)]
    options = {"max_tokens": 12, "temperature": temperature}
    together = speaker.generate(prompts, seeds=range(7), **options)
    alone = [speaker.generate([prompt], seeds=[n], **options)[0] for n, prompt in enumerate(prompts)]
    assert together == alone


@pytest.mark.parametrize("wanted", SCHEMAS, ids=json.dumps)
@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_a_reply_held_to_a_schema_is_the_same_alone_where_forced_tokens_are_skipped(
    speaker: Any, wanted: Mapping[str, Any], temperature: float
) -> None:
    prompts = [f"{'Long words before it. ' * (n % 3)}Question {n}" for n in range(4)]
    options = {"max_tokens": 40, "temperature": temperature, "schema": wanted}
    together = speaker.generate(prompts, seeds=range(4), **options)
    assert together == [speaker.generate([prompt], seeds=[n], **options)[0] for n, prompt in enumerate(prompts)]


@pytest.mark.parametrize(
    "wanted", [{"type": "number"}, schema(a={"type": "integer"}, b={"type": "number", "minimum": 0})]
)
def test_a_number_ends_where_a_schema_would_let_it_go_on_for_ever(
    speaker: Any, wanted: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlx.core as mx

    from stepdown.local.constraint import Follower

    hold = Follower.hold

    def loud(self: Follower, scores: mx.array) -> mx.array:
        """Prefer a digit wherever one may come."""
        return hold(self, scores + mx.array(self._digits) * 1e3)

    monkeypatch.setattr(Follower, "hold", loud)
    for reply in speaker.generate(["Question"], max_tokens=300, schema=wanted):
        assert reply.finished
        jsonschema.validate(json.loads(reply.text), wanted)


def test_what_a_schema_leaves_no_choice_about_costs_no_pass_of_the_model(speaker: Any) -> None:
    wanted, passes = schema(amount={"enum": [12, 34]}, currency={"const": "EUR"}), []

    def expired() -> bool:
        passes.append(1)
        return False

    (reply,) = speaker.generate(["?"], max_tokens=90, schema=wanted, expired=expired)
    assert json.loads(reply.text)["currency"] == "EUR"
    # Bytes are this base's tokens: thirty of them, and one choice between two numbers.
    assert reply.output_tokens >= len('{"amount":12,"currency":"EUR"}')
    assert len(passes) <= 4


def test_the_same_question_twice_has_the_same_answer_whatever_was_asked_in_between(speaker: Any) -> None:
    first = speaker.generate(["The same question, of more than a few tokens"], max_tokens=10)
    speaker.generate(["Another one", "and a third"], max_tokens=10)
    assert speaker.generate(["The same question, of more than a few tokens"], max_tokens=10) == first


def test_time_is_looked_at_while_a_prompt_is_read_and_before_every_token(speaker: Any) -> None:
    asked: list[int] = []

    def expired() -> bool:
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(LocalTimeout):
        speaker.generate(["a long prompt " * 25], max_tokens=50, expired=expired)
    assert len(asked) == 4


def test_a_prompt_longer_than_the_context_is_refused_and_a_reply_ends_where_it_does(speaker: Any) -> None:
    with pytest.raises(ContextOverflow, match="512 of the model"):
        speaker.generate(["x" * 600], max_tokens=5)
    (reply,) = speaker.generate(["x" * 460], max_tokens=500)
    assert reply.input_tokens + reply.output_tokens <= 512


@pytest.mark.parametrize("wrong", [{"max_tokens": 0}, {"max_tokens": 5, "temperature": float("nan")}])
def test_senseless_settings_are_refused(speaker: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        speaker.generate(["?"], **wrong)


def test_no_prompts_have_no_answers(speaker: Any) -> None:
    assert speaker.generate([], max_tokens=5) == []


@pytest.mark.parametrize("missing", ["serving.json", "config.json", "tokenizer.json", "model.safetensors"])
def test_files_that_are_no_model_are_a_sentence(files: Mapping[str, bytes], missing: str) -> None:
    from stepdown.local.speak import load

    whole = {**files, "serving.json": b'{"constrained":true}'}
    # A base as it came says nothing of how it is decoded.
    gone = [] if missing == "serving.json" else [None]
    for damage in (*gone, b"", b"{}", b"\x00" * 40):
        changed = {path: data for path, data in whole.items() if path != missing}
        if damage is not None:
            changed[missing] = damage
        with pytest.raises(LoadFailed):
            load(changed)


LIMITS = """
import resource, sys
before = resource.getrlimit(resource.RLIMIT_NOFILE)
from stepdown.local.pretrained import import_mlx_lm
import_mlx_lm()
assert "mlx_lm.utils" in sys.modules
assert resource.getrlimit(resource.RLIMIT_NOFILE) == before, "mlx-lm lowers them for ever when it is imported"
resource.setrlimit(resource.RLIMIT_NOFILE, before)
"""


def test_a_process_that_opens_a_model_keeps_its_limits() -> None:
    subprocess.run([sys.executable, "-c", LIMITS], check=True)
