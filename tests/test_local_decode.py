"""Answers from bytes in memory: alone, in batches, and refused."""

import json
from itertools import count
from pathlib import Path

import mlx.core as mx
import pytest

from local_samples import ROWS, contents, fit, loaded, write_dataset
from stepdown.errors import ContextOverflow, InvalidValue, LoadFailed, LocalTimeout
from stepdown.local.decode import Loaded, load
from stepdown.training.plan import Plan

PROMPTS = [str(row["prompt"]) for row in ROWS] + ["strategy:", "Unseen wörds 試 and a much longer playbook. " * 3]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("local")
    child = fit(write_dataset(directory / "dataset"), directory / "out", Plan.tiny(window=256))
    assert child.returncode == 0, child.stderr
    return directory / "out"


@pytest.fixture(scope="module")
def net(bundle: Path) -> Loaded:
    return loaded(bundle)


def test_a_prompt_is_answered_alike_alone_and_in_a_batch(net: Loaded) -> None:
    alone = [net.generate([prompt], max_tokens=40)[0] for prompt in PROMPTS]

    assert net.generate(PROMPTS, max_tokens=40) == alone


def test_the_cache_changes_no_token(net: Loaded) -> None:
    tokens = net.encode(PROMPTS[0])
    for _ in range(12):
        tokens.append(int(mx.argmax(net.logits(tokens)[-1]).item()))

    reply = net.generate(PROMPTS[:1], max_tokens=12)[0]

    assert net.encode(PROMPTS[0] + reply.text) == tokens[: reply.input_tokens + len(net.encode(reply.text))]


def test_draws_depend_on_the_seed_and_not_on_the_neighbours(net: Loaded) -> None:
    seeds = list(range(100, 100 + len(PROMPTS)))
    batch = net.generate(PROMPTS, max_tokens=20, temperature=0.8, seeds=seeds)
    alone = [
        net.generate([prompt], max_tokens=20, temperature=0.8, seeds=[seed])[0]
        for prompt, seed in zip(PROMPTS, seeds, strict=True)
    ]
    same_prompt = net.generate(PROMPTS[:1] * 8, max_tokens=20, temperature=0.8)

    assert batch == alone
    assert len({reply.text for reply in same_prompt}) > 1


def test_no_prompts_give_no_replies(net: Loaded) -> None:
    assert net.generate([], max_tokens=1) == []


def test_more_prompts_than_one_batch_holds_keep_their_order(net: Loaded) -> None:
    many = [PROMPTS[n % len(PROMPTS)] for n in range(130)]

    replies = net.generate(many, max_tokens=2)

    assert [reply.input_tokens for reply in replies] == [len(net.encode(prompt)) for prompt in many]


def test_a_prompt_that_fills_the_window_is_refused_with_both_numbers(net: Loaded) -> None:
    with pytest.raises(ContextOverflow, match=r"has 300 tokens .* window of 256"):
        net.generate(["!" * 300], max_tokens=8)


def test_a_reply_ends_unfinished_where_the_window_does(net: Loaded) -> None:
    prompt = "!" * 250

    reply = net.generate([prompt], max_tokens=50)[0]

    assert reply.input_tokens + reply.output_tokens <= net.shape.window
    assert not reply.finished


def test_time_is_asked_before_every_token(net: Loaded) -> None:
    asked = count()

    with pytest.raises(LocalTimeout, match="after 3 tokens"):
        net.generate(PROMPTS[:1], max_tokens=40, expired=lambda: next(asked) == 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompts": [""], "max_tokens": 1},
        {"prompts": ["\ud800"], "max_tokens": 1},
        {"prompts": ["a"], "max_tokens": 0},
        {"prompts": ["a"], "max_tokens": 1, "temperature": float("nan")},
        {"prompts": ["a"], "max_tokens": 1, "temperature": -0.1},
        {"prompts": ["a"], "max_tokens": 1, "seeds": [1, 2]},
    ],
)
def test_senseless_requests_are_refused(net: Loaded, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidValue):
        net.generate(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "nonsense"])
def test_damaged_files_are_refused_by_name(bundle: Path, name: str, damage: str) -> None:
    files = contents(bundle)
    whole = files.pop(name)
    if damage != "missing":
        files[name] = {"empty": b"", "cut": whole[: len(whole) // 2], "nonsense": b"\xff\x00 nonsense"}[damage]

    with pytest.raises(LoadFailed, match=name):
        load(files)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_type": "mistral"}, "not a llama"),
        ({"hidden_size": 64}, "does not hold"),
        ({"num_hidden_layers": 2}, "gives 2 layers"),
        ({"num_attention_heads": 3}, "sizes that no net can have"),
        ({"vocab_size": 10}, "the net knows 10"),
    ],
)
def test_a_configuration_that_does_not_fit_the_weights_is_refused(
    bundle: Path, change: dict[str, object], sentence: str
) -> None:
    files = contents(bundle)
    files["config.json"] = json.dumps(json.loads(files["config.json"]) | change).encode()

    with pytest.raises(LoadFailed, match=sentence):
        load(files)


def test_a_token_that_the_net_has_no_row_for_is_refused(bundle: Path, net: Loaded) -> None:
    files = contents(bundle)
    tokenizer = json.loads(files["tokenizer.json"])
    tokenizer["model"]["vocab"]["zebra"] = 40_000
    files["tokenizer.json"] = json.dumps(tokenizer).encode()

    with pytest.raises(LoadFailed, match="token 40000"):
        load(files)
    with pytest.raises(InvalidValue):
        net.logits([net.shape.vocab])


def test_the_digest_is_that_of_the_bytes_that_answer(bundle: Path, net: Loaded) -> None:
    files = contents(bundle)
    changed = bytearray(files["model.safetensors"])
    changed[-1] ^= 1

    other = load(files | {"model.safetensors": bytes(changed)})

    assert other.weights_digest != net.weights_digest
    assert load(files).weights_digest == net.weights_digest
