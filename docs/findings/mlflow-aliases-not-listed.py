# /// script
# requires-python = ">=3.11"
# dependencies = ["mlflow-skinny==3.17.2", "sqlalchemy>=2,<3", "alembic"]
# ///
"""A search for versions shows no alias, while each version by itself does. Exits 0 where that is so, 1 where it is not."""

import os
import sys
import tempfile

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
from mlflow import MlflowClient

with tempfile.TemporaryDirectory() as directory:
    uri = f"sqlite:///{directory}/registry.db"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.create_registered_model("judge")
    version = client.create_model_version("judge", source=f"file://{directory}").version
    client.set_registered_model_alias("judge", "serving", version)
    alone = list(client.get_model_version("judge", version).aliases)
    (listed,) = (list(each.aliases) for each in client.search_model_versions("name='judge'"))
print(f"asked for by itself: {alone}; in the list: {listed}")
sys.exit(0 if alone == ["serving"] and listed == [] else 1)
