"""What a tuning leaves on disk: an adapter as mlx-lm has it, or base and changes in one."""

# mypy: allow-untyped-calls

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_unflatten

from stepdown.bundles.kinds import ADAPTER, MODEL
from stepdown.errors import TrainingFailed
from stepdown.local.checkpoint import flat
from stepdown.local.dataset import TokenRecord
from stepdown.local.pretrained import Pretrained, read_directory
from stepdown.local.speak import SERVING
from stepdown.local.tensors import write
from stepdown.training.tuning import Tuning

_ALIKE = 1e-3  # How far the scores of a fused model may lie from those of its parts.


def changes(plan: Tuning) -> dict[str, Any]:
    """Return what mlx-lm calls the LoRA parameters."""
    parameters: dict[str, Any] = {"rank": plan.rank, "scale": plan.scale, "dropout": plan.dropout}
    return {**parameters, "keys": list(plan.keys)} if plan.keys else parameters


def save(base: Pretrained, source: Path, plan: Tuning, probe: TokenRecord, out: Path) -> None:
    """Write texts first and the weights last, under their name only when they are whole.

    Args:
        base: Tuned.
        source: The base's directory.
        plan: Which form is wanted.
        probe: What a fused model is asked, to see that it answers as its parts do.
        out: The bundle's directory.

    Raises:
        TrainingFailed: The fused model answers otherwise.
    """
    model = base.model
    (out / SERVING).write_text(json.dumps({"constrained": plan.constrained}) + "\n", encoding="utf-8")
    if plan.form == ADAPTER.name:
        settings = {
            "fine_tune_type": plan.method,
            "num_layers": len(model.layers) if plan.layers == -1 else plan.layers,
            "lora_parameters": changes(plan),
        }
        (out / "adapter_config.json").write_text(
            json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8"
        )
        write(out / ADAPTER.weights_file, flat(model.trainable_parameters()))
        return
    tokens = mx.array([probe.tokens])
    before = model(tokens)
    fused = [(name, module.fuse()) for name, module in model.named_modules() if hasattr(module, "fuse")]
    model.update_modules(tree_unflatten(fused))
    after = model(tokens)
    if not mx.allclose(before, after, rtol=_ALIKE, atol=_ALIKE).item():
        raise TrainingFailed("The fused model answers otherwise than base and changes together; keep the adapter.")
    config = {key: value for key, value in base.config.items() if key not in ("quantization", "quantization_config")}
    for path, data in read_directory(source).items():
        if not path.endswith((".safetensors", ".safetensors.index.json")) and path != "config.json":
            (out / path).write_bytes(data)
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    write(out / MODEL.weights_file, flat(model.parameters()))
