"""The kinds of bundles: which file answers, who loads it and which child makes it. Named, and imported when first used."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind.

    Attributes:
        name: The word in the manifest; stored, never renamed.
        weights_file: The file whose bytes answer.
        loader: `module:function` that makes a model of the files' bytes, `(files, base) -> local.provider.Model`.
        trainer: The module that a training child runs.
        on_base: Whether it answers only together with the base that it was tuned from.
    """

    name: str
    weights_file: str
    loader: str
    trainer: str
    on_base: bool = False


NET = Kind("net", "model.safetensors", "stepdown.local.decode:load", "stepdown.local.fit")
"""A net of our own, made from nothing but the dataset."""

ADAPTER = Kind("adapter", "adapters.safetensors", "stepdown.local.speak:load", "stepdown.local.tune", on_base=True)
"""What was learned on top of a base, and of no use without it."""

MODEL = Kind("model", "model.safetensors", "stepdown.local.speak:load", "stepdown.local.tune")
"""A base and what was learned, in one; it stands alone."""

KINDS = {kind.name: kind for kind in (NET, ADAPTER, MODEL)}
