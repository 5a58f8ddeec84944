"""A few lines that route through MLflow's registry; what is tested is the registry, and a registry serves nobody by itself."""

from __future__ import annotations

import json
from collections.abc import Callable

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

MODEL, ALIAS = "desk", "serving"


class Shim:
    """The version behind the alias answers, the frontier when it cannot. Tags say what is off, and the alias's way."""

    def __init__(self, client: MlflowClient, call: Callable[[str, str], bool]) -> None:
        self.client, self.call = client, call

    def ask(self, question: str) -> tuple[str | None, str | None]:
        """Answer; return who served, and why local did not."""
        why = self.against(self.serving())
        if why is None and self.call("local", question):
            return "local", None
        return "frontier" if self.call("frontier", question) else None, why or "local-error"

    def serving(self) -> str | None:
        """Return the version behind the alias."""
        return next((str(v) for a, v in self.client.get_registered_model(MODEL).aliases.items() if a == ALIAS), None)

    def against(self, version: str | None) -> str | None:
        """Say what is against a version: not there, without files, or switched off."""
        try:
            download_artifacts(f"models:/{MODEL}/{version}")
            return "bundle-disabled" if "off" in self.client.get_model_version(MODEL, version).tags else None
        except (MlflowException, OSError):
            return "bundle-absent"

    def activate(self, version: str) -> str | None:
        """Lead the alias to a version; return what is against it."""
        self.client.get_model_version(MODEL, version)
        why = self.against(version)
        if why is None and version != self.serving():
            self.lead([*self.way(), version])
        return why

    def roll_back(self) -> str | None:
        """Lead the alias back to the nearest good version before, and return it."""
        way, target = self.way(), self.target()
        if target is not None:
            self.lead(way[: len(way) - way[::-1].index(target)])
        return target

    def target(self) -> str | None:
        """Return where a rollback leads."""
        serving = self.serving()
        return next((each for each in self.way()[::-1] if each != serving and self.against(each) is None), None)

    def versions(self) -> list[str]:
        """Name the versions there are, oldest first."""
        return sorted(str(each.version) for each in self.client.search_model_versions(f"name='{MODEL}'"))

    def way(self) -> list[str]:
        """Return the versions that the alias was led through, of those there are."""
        led, there = json.loads(self.client.get_registered_model(MODEL).tags.get("way", "[]")), self.versions()
        return [each for each in led if each in there]

    def lead(self, way: list[str]) -> None:
        """Lead the alias to the end of a way."""
        self.client.set_registered_model_alias(MODEL, ALIAS, way[-1])
        self.client.set_registered_model_tag(MODEL, "way", json.dumps(way))
