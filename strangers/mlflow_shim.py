"""A few lines that route through MLflow's registry; what is tested is the registry, and a registry serves nobody by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

MODEL, ALIAS = "desk", "serving"


class Shim:
    """The version behind the alias answers, the frontier when it cannot. A tag says that a version is switched off."""

    def __init__(self, client: Any, uri: str, call: Callable[[str, str, str], bool]) -> None:
        self.client, self.uri, self.call = client, uri, call

    def ask(self, question: str) -> tuple[str | None, str | None]:
        """Answer; return who served, and why local did not."""
        version = self.serving()
        why = self.against(version)
        if why is None and self.call("local", question, self.files(version or "")):
            return "local", None
        return "frontier" if self.call("frontier", question, "") else None, why or "local-error"

    def serving(self) -> str | None:
        """Return the version behind the alias."""
        return next((str(v) for a, v in self.client.get_registered_model(MODEL).aliases.items() if a == ALIAS), None)

    def files(self, version: str) -> str:
        """Let MLflow say where a version's files are."""
        from mlflow.artifacts import download_artifacts

        return str(download_artifacts(f"models:/{MODEL}/{version}", tracking_uri=self.uri, registry_uri=self.uri))

    def against(self, version: str | None) -> str | None:
        """Say what is against a version: not there, without files, or switched off."""
        from mlflow.exceptions import MlflowException

        try:
            off = version is None or "off" in self.client.get_model_version(MODEL, version).tags
            return "bundle-absent" if not self.files(version or "") else "bundle-disabled" if off else None
        except (MlflowException, OSError):
            return "bundle-absent"

    def activate(self, version: str) -> str | None:
        """Lead the alias to a version; return what is against it."""
        self.client.get_model_version(MODEL, version)
        why = self.against(version)
        if why is None and version != self.serving():
            self._point(version, [*self._way(), version])
        return why

    def roll_back(self) -> str | None:
        """Lead the alias back to the nearest good version before, and return it."""
        way, target = self._way(), self.target()
        if target is not None:
            self._point(target, way[: len(way) - way[::-1].index(target)])
        return target

    def target(self) -> str | None:
        """Return where a rollback leads."""
        behind = (each for each in reversed(self._way()) if each != self.serving())
        return next((each for each in behind if self.against(each) is None), None)

    def prune(self, one: str | None, kept: set[str]) -> tuple[str, ...]:
        """Delete versions, or this one, that neither serve, nor are next on the way back, nor are kept."""
        if one is not None:
            self.client.get_model_version(MODEL, one)
        needed = {self.serving(), self.target(), *kept}
        gone = tuple(each for each in self.versions() if one in (None, each) and each not in needed)
        for each in gone:
            self.client.delete_model_version(MODEL, each)
        return gone

    def versions(self) -> list[str]:
        """Name the versions there are, oldest first."""
        return sorted(str(each.version) for each in self.client.search_model_versions(f"name='{MODEL}'"))

    def _way(self) -> list[str]:
        """Return the versions that the alias was led through; MLflow remembers none, so that a tag has to."""
        led = json.loads(self.client.get_registered_model(MODEL).tags.get("way", "[]"))
        return [each for each in led if each in self.versions()]

    def _point(self, version: str, way: list[str]) -> None:
        self.client.set_registered_model_alias(MODEL, ALIAS, version)
        self.client.set_registered_model_tag(MODEL, "way", json.dumps(way))
