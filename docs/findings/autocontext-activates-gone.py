# /// script
# requires-python = ">=3.11"
# dependencies = ["autocontext==0.18.0"]
# ///
"""A model whose files are gone is activated, and the one that could serve is not active any more. Exits 0 where that is so."""

import shutil
import sys
import tempfile
from pathlib import Path

from autocontext.agents.role_router import available_local_models
from autocontext.config.settings import AppSettings
from autocontext.training.model_registry import ModelRegistry, TrainingCompletionOutput, publish_training_output

with tempfile.TemporaryDirectory() as directory:
    registry, models = ModelRegistry(Path(directory)), {}
    for run in ("whole", "gone"):
        folder = Path(directory) / run
        folder.mkdir()
        trained = TrainingCompletionOutput(run_id=run, checkpoint_path=str(folder), backend="mlx", scenario="grid_ctf")
        models[run] = publish_training_output(trained, registry).artifact_id
    registry.activate(models["whole"])
    shutil.rmtree(Path(directory) / "gone")
    registry.activate(models["gone"])
    states = {run: registry.load(model).activation_state for run, model in models.items()}
    usable = available_local_models(AppSettings(knowledge_root=Path(directory)), scenario_name="grid_ctf")
print(f"states {states}; models that a router may use: {usable}")
sys.exit(0 if (states, usable) == ({"whole": "disabled", "gone": "active"}, []) else 1)
