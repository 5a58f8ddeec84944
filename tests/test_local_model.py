"""mlx-lm is the judge: it must open what is written here, and compute the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

from local_samples import ROWS, fit, loaded, write_dataset
from stepdown.errors import LoadFailed
from stepdown.local.decode import Loaded
from stepdown.local.model import Llama, Shape, causal
from stepdown.local.tokens import END, tokenizer_files, train_tokenizer
from stepdown.training.plan import Plan

PROMPTS = [str(ROWS[0]["prompt"]), "Unseen wörds and 3.14 digits:"]

# In a child, because importing mlx-lm changes limits of its process and brings transformers with it.
JUDGE = """
import json, sys
import mlx.core as mx
import mlx_lm
net, tokenizer = mlx_lm.load(sys.argv[1])
for prompt in json.loads(sys.argv[2]):
    tokens = tokenizer.encode(prompt)
    asked = [{"role": "user", "content": prompt}]
    assert tokenizer.apply_chat_template(asked, add_generation_prompt=True) == tokens, "a chat is the prompt itself"
    told = tokenizer.apply_chat_template([*asked, {"role": "assistant", "content": "7"}])
    assert told == [*tokens, *tokenizer.encode("7"), tokenizer.eos_token_id]
    text = mlx_lm.generate(net, tokenizer, prompt, max_tokens=40)
    print(json.dumps({"tokens": tokens, "text": text, "logits": net(mx.array([tokens]))[0].tolist()}))
"""


def judge(bundle: Path) -> list[dict[str, object]]:
    # mlx-lm compiles its activations, which on a CPU calls a C++ compiler; the figures are the same without.
    environment = os.environ | {"MLX_DISABLE_COMPILE": "1", "HF_HUB_OFFLINE": "1"}
    arguments = [sys.executable, "-c", JUDGE, str(bundle), json.dumps(PROMPTS)]
    child = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert child.returncode == 0, child.stderr
    return [json.loads(line) for line in child.stdout.splitlines()]


def grouped(directory: Path) -> Path:
    """Write an untrained net whose queries share keys and whose output matrix is its own."""
    tokenizer = train_tokenizer(PROMPTS, 300)
    eos = tokenizer.token_to_id(END)
    shape = Shape(tokenizer.get_vocab_size(), 32, 2, heads=4, kv_heads=2, ffn=48, window=128, eos=eos, tied=False)
    directory.mkdir()
    (directory / "config.json").write_text(shape.to_json())
    for name, text in tokenizer_files(tokenizer, shape.window).items():
        (directory / name).write_text(text)
    mx.random.seed(1)
    tensors = dict(tree_flatten(Llama(shape).parameters()))
    mx.save_safetensors(str(directory / "model.safetensors"), tensors, metadata={"format": "mlx"})
    return directory


def agrees(net: Loaded, verdicts: list[dict[str, object]]) -> None:
    for prompt, verdict in zip(PROMPTS, verdicts, strict=True):
        tokens = net.encode(prompt)
        assert verdict["tokens"] == tokens
        assert mx.abs(net.logits(tokens) - mx.array(verdict["logits"])).max().item() < 1e-5
        assert verdict["text"] == net.generate([prompt], max_tokens=40)[0].text


def test_mlx_lm_opens_a_trained_bundle_and_gives_the_same_logits_and_text(tmp_path: Path) -> None:
    plan = Plan.tiny(iterations=80, layers=2)
    child = fit(write_dataset(tmp_path / "dataset"), tmp_path / "out", plan)
    assert child.returncode == 0, child.stderr
    net = loaded(tmp_path / "out")

    agrees(net, judge(tmp_path / "out"))
    assert net.generate(PROMPTS[:1], max_tokens=40)[0].finished


def test_mlx_lm_tunes_a_bundle_of_ours_on_an_export_of_ours(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "dataset")
    assert fit(dataset, tmp_path / "out", Plan.tiny(iterations=4, layers=2, window=512)).returncode == 0
    words = f"lora --model {tmp_path}/out --train --data {dataset} --adapter-path {tmp_path}/adapter --mask-prompt"
    sizes = "--iters 2 --batch-size 1 --num-layers 1 --val-batches 1"
    environment = os.environ | {"MLX_DISABLE_COMPILE": "1", "HF_HUB_OFFLINE": "1"}
    child = subprocess.run(
        [sys.executable, "-m", "mlx_lm", *words.split(), *sizes.split()],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment,
    )
    assert child.returncode == 0, child.stderr
    assert (tmp_path / "adapter" / "adapters.safetensors").exists()


def test_mlx_lm_agrees_on_shared_keys_and_an_output_matrix_of_its_own(tmp_path: Path) -> None:
    bundle = grouped(tmp_path / "bundle")

    agrees(loaded(bundle), judge(bundle))


def test_a_shape_survives_its_own_configuration() -> None:
    shape = Shape(300, 32, 2, heads=4, kv_heads=2, ffn=48, window=128, eos=0, tied=False)

    assert Shape.parse(shape.to_json()) == shape


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model_type":"llama"}', "\x00"])
def test_what_is_not_a_configuration_is_refused(text: str) -> None:
    with pytest.raises(LoadFailed, match=r"config\.json"):
        Shape.parse(text)


def test_the_last_columns_are_the_same_as_all_columns_cut() -> None:
    net = Llama(Shape(50, 16, 2, heads=2, kv_heads=1, ffn=24, window=64, eos=0))
    tokens, mask = mx.array([[0, 0, 3, 4, 5], [1, 2, 3, 4, 5]]), causal(mx.array([2, 0]), 5)

    assert mx.allclose(net.hidden(tokens, mask, last=2), net.hidden(tokens, mask)[:, -2:], atol=1e-6)


def test_filling_changes_nothing_in_the_row_it_fills() -> None:
    net = Llama(Shape(50, 16, 2, heads=2, kv_heads=1, ffn=24, window=64, eos=0))
    alone = net.hidden(mx.array([[3, 4, 5]]))
    filled = net.hidden(mx.array([[9, 9, 3, 4, 5]]), causal(mx.array([2]), 5), mx.array([-2]))

    assert mx.allclose(filled[:, 2:], alone, atol=1e-5)
