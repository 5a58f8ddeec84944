"""MLflow's model registry, in SQLite, its versions folders on disk: aliases, versions, deletion, artifacts that go away.

A registry serves nobody by itself; `mlflow_shim` routes by it and keeps the rows.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import ClassVar

from stepdown_machine import operations as op
from stepdown_machine.least import Asked, Least, Tried
from stepdown_machine.observed import Call, Holding, Observation, Shelved
from stepdown_machine.protocol import START, Answer, Description
from stepdown_machine.values import Bundle, Pointed, Pruned, Refusal
from strangers.mlflow_shim import ALIAS, MODEL, Shim

REQUIREMENTS = ("mlflow-skinny==3.17.2", "sqlalchemy==2.0.54", "alembic==1.20.1")
SHOWS: dict[str, str] = {}
GIVEN_UP = (
    "rows and reasons are the shim's, as a registry keeps no history of requests; so is the way back, as aliases have none",
    "`bundle-retired` is what the adapter says of a deleted version, which MLflow forgets",
    "bytes of artifacts, lists of versions and files of deleted versions are looked at in campaigns of their own",
)
TEXTS = {version: f"weights of {version}".encode() for version in ("1", "2", "3")}
DIGESTS = {version: hashlib.sha256(text).hexdigest() for version, text in TEXTS.items()}


@cache
def template() -> Path:
    """Make a registry's tables once: its migrations take longer than an example."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"], os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "true", "false"
    from mlflow import MlflowClient

    path = Path(tempfile.mkdtemp(prefix="mlflow-template-")) / "registry.db"
    MlflowClient(f"sqlite:///{path}", f"sqlite:///{path}").search_registered_models()
    return path


class Registry(Least):
    """A registry with three versions, of which the first serves."""

    knows = frozenset(("bundle-absent", "bundle-disabled", "bundle-integrity"))
    failures = outages = ("error",)
    states = frozenset(("reason", "errors", "holdings", "shelf"))
    damages: ClassVar[tuple[str, ...]] = ("delete-directory",)
    lists = leftovers = False

    def __init__(self) -> None:
        self.room = Path(tempfile.mkdtemp(prefix="mlflow-"))
        shutil.copy(template(), self.room / "registry.db")
        from mlflow import MlflowClient, set_registry_uri, set_tracking_uri

        uri = f"sqlite:///{self.room / 'registry.db'}"
        set_tracking_uri(uri), set_registry_uri(uri)  # who downloads looks nowhere else
        self.client, self.shim = (client := MlflowClient(uri, uri)), Shim(client, uri, self.call)
        self.client.create_registered_model(MODEL)
        for version in TEXTS:
            self.write(version)
            self.client.create_model_version(MODEL, str(self.room / version))
        self.shim.activate("1")
        self.moods, self.rows, self.calls = {"local": "calm", "frontier": "calm"}, list[Asked](), list[Call]()
        self.asked = set[str]()

    @property
    def operations(self) -> frozenset[type]:
        """What a registry can do."""
        own = {op.Activate, op.Disable, op.Enable, op.Delete, op.Rollback, op.Prune, op.Damage, op.Restore}
        return super().operations | own

    def describe(self) -> Description:
        """Add its versions, and what can happen to their files."""
        given = tuple(Bundle(version, digest, START, 1.0, 1.0) for version, digest in DIGESTS.items())
        return replace(super().describe(), given=given, damages=self.damages)

    def write(self, version: str) -> None:
        """Put a version's files where they were."""
        (self.room / version).mkdir(exist_ok=True)
        (self.room / version / "weights").write_bytes(TEXTS[version])

    def mend(self, local: str, frontier: str) -> None:
        """Break the providers, or mend them."""
        self.moods = {"local": local, "frontier": frontier}

    def call(self, provider: str, question: str, folder: str) -> bool:
        """Be a provider, which notes what it was asked and with which weights; tell whether it answered."""
        bad = self.moods[provider] != "calm"
        weights = hashlib.sha256((Path(folder) / "weights").read_bytes()).hexdigest() if folder and not bad else None
        text = "" if bad else f"{provider} on {question}"
        self.calls.append(Call(f"{len(self.calls)}", provider, True, "error" if bad else None, weights, text))
        return not bad

    def ask(self, _role: str, text: str) -> None:
        """Ask the shim."""
        before = len(self.calls)
        served, why = self.shim.ask(text)
        tried = tuple(Tried(each.call, each.provider, each.error, each.text) for each in self.calls[before:])
        self.asked |= {str(self.shim.serving())} if tried[0].target == "local" else set()
        self.rows.append(Asked(tried, served, tried[-1].text, why))

    def history(self) -> list[Asked]:
        """Return the shim's rows."""
        return self.rows

    def log(self) -> list[Tried]:
        """Leave the calls to `observe`, which shows them with their weights."""
        return []

    def perform(self, operation: op.Operation) -> Answer:
        """Do what is about the registry; the rest is as for everybody."""
        from mlflow.exceptions import MlflowException

        try:
            return self.registry(operation)
        except MlflowException:
            return Refusal("bundle-retired" if getattr(operation, "bundle", None) in TEXTS else "unknown-bundle")

    def registry(self, operation: op.Operation) -> Answer:
        """Translate one operation; what MLflow does not know it refuses with an exception."""
        shim, client = self.shim, self.client
        match operation:
            case op.Activate(bundle=bundle):
                return Refusal(why) if (why := shim.activate(bundle)) else None
            case op.Disable(bundle=bundle):
                client.set_model_version_tag(MODEL, bundle, "off", "yes")
            case op.Enable(bundle=bundle):
                client.get_model_version(MODEL, bundle)
                client.delete_model_version_tag(MODEL, bundle, "off")
            case op.Delete(bundle=bundle):
                client.delete_model_version(MODEL, bundle)
            case op.Rollback():
                target = shim.roll_back()
                return Pointed(target) if target is not None else Refusal("nothing-to-roll-back")
            case op.Prune(bundle=bundle, keep=keep):
                gone = shim.prune(bundle, self.asked if keep is None else set())
                return Pruned(gone) if gone or bundle is None else Refusal("bundle-needed")
            case op.Damage(bundle=bundle, how="delete-directory"):
                shutil.rmtree(self.room / bundle)
            case op.Damage(bundle=bundle):
                (self.room / bundle / "weights").write_bytes(b"something else")
            case op.Restore(bundle=bundle):
                self.write(bundle)
            case _:
                return super().perform(operation)
        return None

    def observe(self, *, thorough: bool = False) -> Observation:
        """Add whom each observer sees behind the alias, and the versions as they are listed and as they lie on disk."""
        serving, there = self.shim.serving(), self.client.search_model_versions(f"name='{MODEL}'")
        seen = [Holding("alias", "competitor", serving)] if serving else []
        seen += [
            Holding("list", "competitor", str(each.version)) for each in there if self.lists and ALIAS in each.aliases
        ]
        shelf = tuple(self.shelved(str(each.version)) for each in there)
        left = {each.name for each in self.room.iterdir() if each.is_dir()} - {each.bundle for each in shelf}
        row = replace(super().observe(thorough=thorough), calls=tuple(self.calls), holdings=tuple(seen), shelf=shelf)
        return replace(row, leftovers=tuple(sorted(left)) if self.leftovers else ())

    def shelved(self, version: str) -> Shelved:
        """Look at a version's files."""
        path = self.room / version / "weights"
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
        return Shelved(version, digest is not None, digest == DIGESTS[version], digest)

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.room)


class Flipped(Registry):
    """Bytes of a version change behind the registry's back."""

    damages = ("delete-directory", "flip")


class Listed(Registry):
    """Who lists versions is an observer of the alias as well."""

    lists = True


class Deleted(Registry):
    """Files of versions that were deleted are seen."""

    leftovers = True


CAMPAIGNS = {"registry": Registry, "bytes": Flipped, "lists": Listed, "leftovers": Deleted}
