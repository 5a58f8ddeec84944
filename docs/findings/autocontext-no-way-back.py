# /// script
# requires-python = ">=3.11"
# dependencies = ["autocontext[mlx]==0.18.0", "mlx[cpu]==0.32.4"]
# ///
"""A generation fails when the active model cannot be loaded, with a frontier at hand. Exits 0 where that is so, 1 where not."""

import logging
import sys
import tempfile
from pathlib import Path

from autocontext.config.settings import AppSettings
from autocontext.loop.generation_runner import GenerationRunner
from autocontext.training.model_registry import ModelRegistry, TrainingCompletionOutput, publish_training_output

logging.disable(logging.CRITICAL)
with tempfile.TemporaryDirectory() as directory:
    room = Path(directory)
    rooms = {"db_path": room / "rows.sqlite3", "knowledge_root": room / "knowledge", "runs_root": room / "runs"}
    more = {"skills_root": room / "skills", "claude_skills_path": room / "more", "event_stream_path": room / "events"}
    settings = AppSettings(agent_provider="deterministic", role_routing="auto", **rooms, **more)
    runner, ended = GenerationRunner(settings), {}
    runner.sqlite.ensure_core_tables()
    ended["no model"] = runner.run("grid_ctf", 1, "no-model").generations_executed
    (room / "model").mkdir()
    trained = TrainingCompletionOutput("1", str(room / "model"), backend="mlx", scenario="grid_ctf")
    publish_training_output(trained, ModelRegistry(settings.knowledge_root), auto_activate=True)
    try:
        ended["a folder without a model"] = runner.run("grid_ctf", 1, "model").generations_executed
    except Exception as error:
        ended["a folder without a model"] = type(error).__name__
    rows = {run: len(runner.sqlite.get_agent_role_metrics(run)) for run in ("no-model", "model")}
print(f"{ended}; rows of calls: {rows}")
sys.exit(0 if ended == {"no model": 1, "a folder without a model": "ProviderError"} and not rows["model"] else 1)
