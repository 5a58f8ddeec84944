"""A bundle behind the provider protocol."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from stepdown.bundles.disk import contents
from stepdown.bundles.kinds import Kind
from stepdown.bundles.manifest import Manifest
from stepdown.clock import Clock
from stepdown.errors import LoadFailed, LocalError, StepdownError, in_one_line
from stepdown.providers.protocol import Completion, Request
from stepdown.training.decoding import Decoding


@dataclass(frozen=True, slots=True)
class LocalReply:
    """One reply.

    Attributes:
        text: Without the end mark.
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens that were generated, end mark included.
        finished: Whether the model ended the reply itself, rather than a limit.
    """

    text: str
    input_tokens: int
    output_tokens: int
    finished: bool


class Model(Protocol):
    """What a kind's loader makes of a bundle's files."""

    @property
    def weights_digest(self) -> str:
        """The digest of the bytes that answer, as `Manifest.weights_digest` counts it."""

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seeds: Sequence[int] | None = None,
        expired: Callable[[], bool] = ...,
        schema: Mapping[str, Any] | None = None,
    ) -> list[LocalReply]:
        """Answer prompts, each as if it were asked alone.

        Args:
            prompts: Any texts.
            max_tokens: Most tokens per reply.
            temperature: 0 takes the likeliest token.
            seeds: One per prompt, for drawing.
            expired: Asked at least before every token whether time is up.
            schema: JSON Schema of a reply, for a kind that can be held to one.

        Raises:
            ContextOverflow: A prompt leaves no room for a reply.
            InvalidValue: An empty prompt, or a number out of range.
            LocalTimeout: `expired` said yes.
        """


class BundleProvider:
    """Answers with a bundle's weights, one caller at a time; whatever goes wrong in that is a `LocalError`.

    Args:
        directory: The bundle's.
        manifest: What its files must hash to.
        decoding: Settings.
        clock: Whose monotonic seconds the time limit is counted in.
        base: Directory of the base that it answers with; None for one that stands alone.
    """

    name = "stepdown-local"

    def __init__(
        self, directory: Path, manifest: Manifest, decoding: Decoding, clock: Clock, base: Path | None = None
    ) -> None:
        self.model = manifest.id
        self._directory = directory
        self._manifest = manifest
        self._decoding = decoding
        self._clock = clock
        self._base = base
        self._loaded: Model | None = None
        self._turn = threading.Lock()

    def complete(self, request: Request) -> Completion:
        """Answer one request.

        Raises:
            LoadFailed: The files cannot be opened, or are not those of the manifest.
            ContextOverflow: The prompt does not fit the window.
            LocalTimeout: Time was up.
            LocalError: Anything else went wrong.
        """
        began = self._clock.monotonic()
        loaded = self.load()
        expired: Callable[[], bool] = lambda: self._clock.monotonic() - began > request.time_limit  # noqa: E731
        (reply,) = self._generate(loaded, [request.prompt], [request.seed], expired, request.schema)
        digest = loaded.weights_digest
        return Completion(reply.text.strip(), self.name, self.model, digest, reply.input_tokens, reply.output_tokens)

    def answer(
        self, prompts: Sequence[str], seeds: Sequence[int], schema: Mapping[str, Any] | None = None
    ) -> list[str]:
        """Answer many prompts at once with the very settings of serving; for evaluation."""
        loaded = self.load()
        return [reply.text.strip() for reply in self._generate(loaded, prompts, seeds, lambda: False, schema)]

    def load(self) -> Model:
        """Read the files into memory once, check those very bytes, and build the model from them.

        Raises:
            LoadFailed: That is not possible.
        """
        with self._turn:
            if self._loaded is None:
                try:
                    # Here and not above: an mlx that cannot be imported is a bundle that cannot be loaded, and a fallback.
                    load = loader(self._manifest.made_as)
                    loaded = load(contents(self._directory, self._manifest), self._base)
                except StepdownError as error:
                    raise LoadFailed(f"The bundle {self.model[:12]} cannot be loaded: {error}") from error
                except Exception as error:  # Of mlx, of the disk, of memory: whatever it is, the frontier serves.
                    raise LoadFailed(f"The bundle {self.model[:12]} cannot be loaded: {in_one_line(error)}") from error
                if loaded.weights_digest != self._manifest.weights_digest:
                    raise LoadFailed(f"The bundle {self.model[:12]} loaded other weights than its manifest names.")
                self._loaded = loaded
            return self._loaded

    def _generate(
        self,
        loaded: Model,
        prompts: Sequence[str],
        seeds: Sequence[int],
        expired: Callable[[], bool],
        schema: Mapping[str, Any] | None,
    ) -> list[LocalReply]:
        decoding = self._decoding
        try:
            with self._turn:
                return loaded.generate(
                    prompts,
                    max_tokens=decoding.max_tokens,
                    temperature=decoding.temperature,
                    seeds=list(seeds),
                    expired=expired,
                    schema=schema,
                )
        except StepdownError:
            raise
        except Exception as error:  # A GPU's RuntimeError, say; every use of a bundle comes through here.
            raise LocalError(f"The bundle {self.model[:12]} cannot answer: {in_one_line(error)}") from error


def loader(kind: Kind) -> Callable[[Mapping[str, bytes], Path | None], Model]:
    """Import what makes a model of the files of a kind."""
    module, _, name = kind.loader.partition(":")
    return cast("Callable[[Mapping[str, bytes], Path | None], Model]", getattr(import_module(module), name))
