"""Adapters of systems that other people wrote; none changes the machine or its oracle."""

import os

# Nobody calls home from here, and each of these is read when its system is imported.
os.environ |= {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "HF_HUB_OFFLINE": "1",
}
