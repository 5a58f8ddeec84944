# /// script
# requires-python = ">=3.11"
# dependencies = ["autocontext==0.18.0"]
# ///
"""Two activations at once leave two active models. Exits 0 where that is so, 1 where it is not."""

import sys
import tempfile
import threading
from pathlib import Path

from autocontext.training.model_registry import ModelRegistry, TrainingCompletionOutput, publish_training_output

with tempfile.TemporaryDirectory() as directory:
    registry, models, two = ModelRegistry(Path(directory)), [], 0
    for run in ("first", "second"):
        trained = TrainingCompletionOutput(run_id=run, checkpoint_path=run, backend="mlx", scenario="grid_ctf")
        models.append(publish_training_output(trained, registry).artifact_id)

    def activate(model: str, together: threading.Barrier) -> None:
        """Activate a model as soon as somebody else is about to."""
        together.wait()
        ModelRegistry(Path(directory)).activate(model)

    for _ in range(200):
        together = threading.Barrier(2)
        threads = [threading.Thread(target=activate, args=(model, together)) for model in models]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        two += [each.activation_state for each in registry.list_all()] == ["active", "active"]
print(f"after {two} of 200 times both are active")
sys.exit(0 if two else 1)
