"""What a bundle promises about itself. Written last: no manifest, no bundle. Its digest is the bundle's id."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import Any, Self

from stepdown.bundles.kinds import KINDS, NET, Kind
from stepdown.digest import canonical, digest, sha256
from stepdown.errors import in_one_line

FORMAT = 1
"""The bundle format that this version writes, and the newest that it reads."""

NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A bundle's promise.

    Attributes:
        format: Bundle format.
        scenario: Scenario it was trained for.
        scenario_version: Its version then.
        role: Role it can serve.
        prompt_format: Format of the prompts it was trained on.
        dataset: SHA-256 of the exported data, hex.
        plan: The training plan, whole.
        job: Digest of dataset, plan and backend.
        backend: mlx's version and the BLAS that trained it.
        files: Relative path to SHA-256 (hex) and size (bytes) of every other file.
        losses: Final training and validation loss, and for a tuned base the validation loss before; nats per token.
        trained_at: UTC, stamped by the parent; the training child reads no clock.
        stepdown: Version that wrote it.
        edition: How many bundles of an equal job were registered before it. Without it, a job trained again at the very
            instant of a clock that stands still would come back under the id of one that was deleted.
        kind: The word of its `Kind`.
        base: Digest of the base that it answers with; empty for one that stands alone.
        curve: Digest of the losses on the way, as history has them; empty where nobody kept them.
        prompts: Digest of the text that its role's questions were made from, see `scenarios.wording`; empty in a bundle of
            before there were digests, and where the scenario does not say its text.
    """

    format: int
    scenario: str
    scenario_version: int
    role: str
    prompt_format: int
    dataset: str
    plan: Mapping[str, Any]
    job: str
    backend: Mapping[str, Any]
    files: Mapping[str, tuple[str, int]]
    losses: Mapping[str, float | None]
    trained_at: datetime
    stepdown: str
    edition: int = 0
    kind: str = NET.name
    base: str = ""
    curve: str = ""
    prompts: str = ""

    @property
    def data(self) -> bytes:
        """The manifest's bytes on disk. What came later and says nothing is left out: an older manifest keeps its bytes."""
        # Not asdict: it would copy the maps deeply, and a manifest is read at every routed step.
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["trained_at"] = self.trained_at.isoformat()
        for name, silent in _SILENT.items():
            if values[name] == silent:
                del values[name]
        return canonical(values)

    @property
    def id(self) -> str:
        """The bundle's id: the digest of those bytes."""
        return sha256(self.data)

    @property
    def weights_digest(self) -> str:
        """Digest of the weights that answer: of the weights' file, and of the base where they answer only together."""
        return digest_with_base(self.files[KINDS[self.kind].weights_file][0], self.base)

    @property
    def made_as(self) -> Kind:
        """Its kind."""
        return KINDS[self.kind]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a manifest of this or an older format.

        Raises:
            ValueError: It is malformed, or of a newer format.
        """
        stored = json.loads(data)
        if not isinstance(stored, dict) or not isinstance(stored.get("format"), int):
            raise ValueError("the manifest names no format")
        if stored["format"] > FORMAT:
            raise NewerFormat(f"the bundle has format {stored['format']}, and this version reads up to {FORMAT}")
        if str(stored.get("kind", NET.name)) not in KINDS:
            raise NewerFormat(f"the bundle is of the kind {stored['kind']!r}, which this version does not know")
        try:
            needed = [field.name for field in fields(cls) if field.name in stored or field.default is MISSING]
            values = {name: stored[name] for name in needed}
            values["trained_at"] = datetime.fromisoformat(values["trained_at"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"the manifest is malformed: {in_one_line(error)}") from error
        values["files"] = listed_files(data)
        manifest = cls(**values)
        texts = (manifest.base, manifest.curve, manifest.prompts)
        if manifest.made_as.weights_file not in manifest.files or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"the manifest is malformed: it lists no {manifest.made_as.weights_file}")
        if manifest.made_as.on_base != bool(manifest.base):
            raise ValueError("the manifest is malformed: its kind and its base do not fit")
        if manifest.data != data:
            # Its id would be another one than the digest of these bytes.
            raise ValueError("the manifest is malformed: it says more than it may, or says it otherwise")
        return manifest


_SILENT = {field.name: field.default for field in fields(Manifest) if field.default is not MISSING}
"""What came after the first format, and the value that says nothing and is not written."""


def digest_with_base(weights_digest: str, base: str) -> str:
    """Return the digest of what answers.

    Args:
        weights_digest: Of the bundle's weights file.
        base: Digest of its base; empty for a bundle that stands alone.
    """
    return digest({"weights": weights_digest, "base": base}) if base else weights_digest


def listed_files(data: bytes) -> dict[str, tuple[str, int]]:
    """Return path to digest and size of the files that a manifest lists, whatever else its format says.

    Raises:
        ValueError: It lists none in that form.
    """
    try:
        return {str(path): (str(sha), int(size)) for path, (sha, size) in json.loads(data)["files"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the manifest lists no files: {in_one_line(error)}") from error


class NewerFormat(ValueError):
    """The manifest is of a format that only a newer version can read."""
