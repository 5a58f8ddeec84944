"""MLflow's model registry, in SQLite, its versions folders on disk: aliases, versions, deletion, artifacts that go away.

A registry serves nobody by itself; `mlflow_shim` routes by it and keeps the rows.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

from mlflow import MlflowClient, set_registry_uri, set_tracking_uri
from mlflow.exceptions import MlflowException

from stepdown_machine import operations as op
from stepdown_machine.least import Asked, Least, Tried
from stepdown_machine.observed import Holding, Observation, Shelved
from stepdown_machine.protocol import START, Answer
from stepdown_machine.values import Bundle, Pointed, Pruned, Refusal
from strangers.mlflow_shim import MODEL, Shim

REQUIREMENTS = ("mlflow-skinny==3.17.2", "sqlalchemy==2.0.54", "alembic==1.20.1")
SHOWS = {"bytes": "mlflow-bytes-not-checked"}
GIVEN_UP = (
    "rows, reasons and the way back are the shim's, as a registry has none; that a version was deleted, which MLflow forgets",
    "files of deleted versions, which stay where they are; and bytes of artifacts, which have a campaign of their own",
)
TEXTS = {version: f"weights of {version}".encode() for version in ("1", "2", "3")}
DIGESTS = {version: hashlib.sha256(text).hexdigest() for version, text in TEXTS.items()}


@cache
def template() -> Path:
    """Make a registry's tables once: its migrations take longer than an example."""
    path = Path(tempfile.mkdtemp(prefix="mlflow-template-")) / "registry.db"
    MlflowClient(f"sqlite:///{path}", f"sqlite:///{path}").search_registered_models()
    return path


class Registry(Least):
    """A registry with three versions, of which the first serves."""

    knows = frozenset(("bundle-absent", "bundle-disabled", "bundle-integrity"))
    failures = outages = ("error",)
    states = frozenset(("reason", "errors", "holdings", "shelf"))
    damages = ("delete-directory",)
    does = frozenset((op.Activate, op.Disable, op.Enable, op.Delete, op.Rollback, op.Prune, op.Damage, op.Restore))
    given = tuple(Bundle(version, digest, START, 1.0, 1.0) for version, digest in DIGESTS.items())

    def __init__(self) -> None:
        shutil.copy(template(), self.room / "registry.db")
        uri = f"sqlite:///{self.room / 'registry.db'}"
        set_tracking_uri(uri), set_registry_uri(uri)  # who downloads looks nowhere else
        self.client, self.shim = (client := MlflowClient(uri, uri)), Shim(client, self.call)
        client.create_registered_model(MODEL)
        for version in TEXTS:
            self.write(version)
            client.create_model_version(MODEL, str(self.room / version))
        self.shim.activate("1")
        self.rows, self.calls, self.asked, self.moods = list[Asked](), list[Tried](), set[str](), dict[str, str]()

    def write(self, version: str) -> None:
        """Put a version's files where they were."""
        (self.room / version).mkdir(exist_ok=True)
        (self.room / version / "weights").write_bytes(TEXTS[version])

    def mend(self, local: str, frontier: str) -> None:
        """Break the providers, or mend them."""
        self.moods = {"local": local, "frontier": frontier}

    def call(self, provider: str, question: str) -> bool:
        """Be a provider, which notes what it was asked; tell whether it answered."""
        bad = self.moods.get(provider, "calm") != "calm"
        name, text = f"call-{len(self.calls)}", "" if bad else f"{provider} on {question}"
        self.calls.append(Tried(name, provider, "error" if bad else None, text))
        return not bad

    def ask(self, _role: str, text: str) -> None:
        """Ask the shim."""
        before, (served, why) = len(self.calls), self.shim.ask(text)
        tried = tuple(self.calls[before:])
        self.asked |= {str(self.shim.serving())} if tried[0].target == "local" else set()
        self.rows.append(Asked(tried, served, tried[-1].text, why))

    def history(self) -> list[Asked]:
        """Return the shim's rows."""
        return self.rows

    def log(self) -> list[Tried]:
        """Return what the providers noted."""
        return self.calls

    def perform(self, operation: op.Operation) -> Answer:  # noqa: C901 - a case for each operation
        """Do what is about the registry; what MLflow does not know it refuses with an exception."""
        shim, client = self.shim, self.client
        try:
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
                    return Pointed(target) if (target := shim.roll_back()) else Refusal("nothing-to-roll-back")
                case op.Prune(bundle=one, keep=keep):
                    needed = {shim.serving(), shim.target(), *(self.asked if keep is None else ())}
                    chosen = [str(client.get_model_version(MODEL, one).version)] if one else shim.versions()
                    gone = tuple(each for each in chosen if each not in needed)
                    for each in gone:
                        client.delete_model_version(MODEL, each)
                    return Pruned(gone) if gone or one is None else Refusal("bundle-needed")
                case op.Damage(bundle=bundle, how=how):
                    folder = self.room / bundle
                    shutil.rmtree(folder) if how != "flip" else (folder / "weights").write_bytes(b"something else")
                case op.Restore(bundle=bundle):
                    self.write(bundle)
                case _:
                    return super().perform(operation)
        except MlflowException:
            return Refusal("bundle-retired" if getattr(operation, "bundle", None) in TEXTS else "unknown-bundle")
        return None

    def observe(self, *, thorough: bool = False) -> Observation:
        """Add who is behind the alias, and the versions as they are listed and as they lie on disk."""
        serving, there = self.shim.serving(), self.client.search_model_versions(f"name='{MODEL}'")
        seen = (Holding("alias", "competitor", serving),) if serving else ()
        shelf = tuple(self.shelved(str(each.version)) for each in there)
        return replace(super().observe(thorough=thorough), holdings=seen, shelf=shelf)

    def shelved(self, version: str) -> Shelved:
        """Look at a version's files."""
        path = self.room / version / "weights"
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
        return Shelved(version, digest is not None, digest == DIGESTS[version], digest)


class Flipped(Registry):
    """Bytes of a version change behind the registry's back."""

    damages = ("delete-directory", "flip")


CAMPAIGNS = {"registry": Registry, "bytes": Flipped}
