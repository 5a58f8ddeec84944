# /// script
# requires-python = ">=3.11"
# dependencies = ["mlflow-skinny==3.17.2", "sqlalchemy>=2,<3", "alembic"]
# ///
"""A version whose files were changed is handed out as it was registered. Exits 0 where that is so, 1 where it is not."""

import os
import sys
import tempfile
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"], os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "true", "false"
import mlflow

with tempfile.TemporaryDirectory() as directory:
    uri, files = f"sqlite:///{directory}/registry.db", Path(directory) / "version"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = mlflow.MlflowClient(uri, uri)
    client.create_registered_model("judge")
    files.mkdir()
    (files / "weights").write_text("trained")
    version = client.create_model_version("judge", source=str(files))
    client.set_registered_model_alias("judge", "serving", version.version)
    (files / "weights").write_text("something else")
    handed_out = Path(mlflow.artifacts.download_artifacts("models:/judge@serving")) / "weights"
    status, content = client.get_model_version("judge", version.version).status, handed_out.read_text()
print(f"status {status}; handed out: {content!r}")
sys.exit(0 if (status, content) == ("READY", "something else") else 1)
