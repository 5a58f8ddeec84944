"""A bundle behind the provider protocol."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stepdown.bundles.disk import contents
from stepdown.bundles.manifest import Manifest
from stepdown.clock import Clock
from stepdown.errors import LoadFailed, LocalError, StepdownError, in_one_line
from stepdown.providers.protocol import Completion, Request
from stepdown.training.decoding import Decoding

if TYPE_CHECKING:
    from stepdown.local.decode import Generation, Loaded


class BundleProvider:
    """Answers with a bundle's weights, one caller at a time; whatever goes wrong in that is a `LocalError`.

    Args:
        directory: The bundle's.
        manifest: What its files must hash to.
        decoding: Settings.
        clock: Whose monotonic seconds the time limit is counted in.
    """

    name = "stepdown-local"

    def __init__(self, directory: Path, manifest: Manifest, decoding: Decoding, clock: Clock) -> None:
        self.model = manifest.id
        self._directory = directory
        self._manifest = manifest
        self._decoding = decoding
        self._clock = clock
        self._loaded: Loaded | None = None
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
        (reply,) = self._generate(loaded, [request.prompt], [request.seed], expired)
        digest = loaded.weights_digest
        return Completion(reply.text.strip(), self.name, self.model, digest, reply.input_tokens, reply.output_tokens)

    def answer(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Answer many prompts at once with the very settings of serving; for evaluation."""
        loaded = self.load()
        return [reply.text.strip() for reply in self._generate(loaded, prompts, seeds, lambda: False)]

    def load(self) -> "Loaded":
        """Read the files into memory once, check those very bytes, and build the model from them.

        Raises:
            LoadFailed: That is not possible.
        """
        with self._turn:
            if self._loaded is None:
                try:
                    # Here and not above: an mlx that cannot be imported is a bundle that cannot be loaded, and a fallback.
                    from stepdown.local.decode import load

                    loaded = load(contents(self._directory, self._manifest))
                except StepdownError as error:
                    raise LoadFailed(f"The bundle {self.model[:12]} cannot be loaded: {error}") from error
                except Exception as error:  # Of mlx, of the disk, of memory: whatever it is, the frontier serves.
                    raise LoadFailed(f"The bundle {self.model[:12]} cannot be loaded: {in_one_line(error)}") from error
                if loaded.weights_digest != self._manifest.weights:
                    raise LoadFailed(f"The bundle {self.model[:12]} loaded other weights than its manifest names.")
                self._loaded = loaded
            return self._loaded

    def _generate(
        self, loaded: "Loaded", prompts: Sequence[str], seeds: Sequence[int], expired: Callable[[], bool]
    ) -> "list[Generation]":
        decoding = self._decoding
        try:
            with self._turn:
                return loaded.generate(
                    prompts,
                    max_tokens=decoding.max_tokens,
                    temperature=decoding.temperature,
                    seeds=list(seeds),
                    expired=expired,
                )
        except StepdownError:
            raise
        except Exception as error:  # A GPU's RuntimeError, say; every use of a bundle comes through here.
            raise LocalError(f"The bundle {self.model[:12]} cannot answer: {in_one_line(error)}") from error
