"""One directory = one system. The composition root: paths, engine, clock, providers, and the points a crash can fall between.

::

    .stepdown/
      stepdown.db      the run database (or elsewhere: `workspace.json` says where)
      workspace.json   format and database URL
      trace.jsonl      the second witness
      datasets/        exports, by digest
      bundles/         trained models, by id
      jobs/            trainings under way, `<job>.<session>.part`
      knowledge/       playbook and hints of each scenario, written from the newest row
      sessions/        locks of living processes
"""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, get_args

from sqlalchemy import Connection, Engine

from stepdown.bundles.manifest import Manifest
from stepdown.clock import Clock
from stepdown.errors import InvalidValue, WorkspaceError
from stepdown.history import engine as engines
from stepdown.history import migrate, reader
from stepdown.providers.installed import frontier as named_frontier
from stepdown.providers.protocol import LocalProvider, Provider
from stepdown.routing.policy import Policy
from stepdown.scenarios.installed import scenario as installed
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.training.decoding import Decoding
from stepdown.workspace.points import nowhere
from stepdown.workspace.sessions import Session

FORMAT = 1
"""The workspace format that this version writes and reads."""

FOLDERS = ("datasets", "bundles", "jobs", "knowledge", "sessions")


def local_provider(directory: Path, manifest: Manifest, decoding: Decoding, clock: Clock) -> LocalProvider:
    """Open a bundle as a provider; imports mlx."""
    from stepdown.local.provider import BundleProvider

    return BundleProvider(directory, manifest, decoding, clock)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a workspace is composed of; every part has the value a user wants.

    Attributes:
        clock: Where time comes from.
        scenario: Finds a scenario by name.
        frontier: Makes a frontier provider from its word and a scenario.
        local: Makes a local provider from a bundle.
        decoding: How local replies are decoded, when evaluated and when served.
        durability: `full` or `normal`, see `history.engine.create`; None takes what the workspace was made with. The trace
            follows it.
        engine: Makes the engine from URL, durability and busy time.
        reached: Called with each of `POINTS` as it is passed.
        cache: A directory of finished trainings by job, shared between workspaces; None keeps none.
        busy_milliseconds: How long a writer waits for another one.
    """

    clock: Clock = Clock()
    scenario: Callable[[str], Scenario] = installed
    frontier: Callable[[str, Scenario], Provider] = named_frontier
    local: Callable[[Path, Manifest, Decoding, Clock], LocalProvider] = local_provider
    decoding: Decoding = Decoding()
    durability: engines.Durability | None = None
    engine: Callable[[str, engines.Durability, int], Engine] = engines.create
    reached: Callable[[str], None] = nowhere
    cache: Path | None = None
    busy_milliseconds: int = engines.BUSY_MILLISECONDS


@dataclass(slots=True)
class Workspace:
    """An open workspace. Use it as a context manager: leaving it closes what was left unfinished and gives up its claim.

    Attributes:
        root: The directory.
        engine: Of the run database.
        settings: What it is composed of.
        session: This process's claim.
        loaded: Local providers by bundle id. An id is the digest of the content, so a change is another id.
        announcing: Held from a call's announcement to its start in the trace, so that both witnesses have calls that are asked
            side by side in one order.
    """

    root: Path
    engine: Engine
    settings: Settings
    session: Session
    loaded: dict[str, LocalProvider]
    announcing: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, root: Path | str, *, url: str | None = None, settings: Settings | None = None) -> Self:
        """Open a workspace, making it if it is new, migrating it if it is older, and closing what a crash left open.

        Args:
            root: The directory.
            url: Database of a new workspace; by default a SQLite file in the directory.
            settings: What to compose it of.

        Raises:
            WorkspaceError: It is newer than this version, locked, read-only, damaged or on a full disk.
            InvalidValue: The URL cannot be used, or the workspace was made with another one.
        """
        from stepdown.acts.recover import recover

        root = Path(root).absolute()
        settings = settings or Settings()
        if url is not None:
            # Before anything is written: a workspace must not remember a database that cannot be used.
            engines.create(url).dispose()
        stored = _prepare(root, url, settings.durability)
        if url is not None and stored.get("database") != url:
            kept = stored.get("database") or "its own SQLite file"
            raise InvalidValue(f"{root} keeps its history in {kept}; leave out the URL, or choose another workspace.")
        settings = replace(settings, durability=settings.durability or stored.get("durability", "full"))
        database = stored.get("database") or f"sqlite:///{root / 'stepdown.db'}"
        engine = settings.engine(database, settings.durability or "full", settings.busy_milliseconds)
        workspace = cls(root, engine, settings, Session(root / "sessions"), {})
        try:
            workspace._migrate()
            recover(workspace)
        except BaseException:
            engine.dispose()
            raise
        return workspace

    def _migrate(self) -> None:
        with self.reading() as connection:
            current = migrate.version(connection)
        if current != migrate.HEAD:
            with self.writing() as connection:
                migrate.upgrade(connection)

    def close(self) -> None:
        """Give up the claim, close what this process announced and did not finish, and let go of the database."""
        from stepdown.acts.recover import recover

        held = self.session.descriptor is not None
        self.session.end()
        try:
            if held:
                recover(self)
        finally:
            self.loaded.clear()
            self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is being raised says more than a lock that its own interrupted transaction may still hold.
        with suppress(*([WorkspaceError] if kind else [])):
            self.close()

    def now(self) -> datetime:
        """Return the present instant, aware UTC. All time in history comes from here."""
        return self.settings.clock.now().astimezone(UTC)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that sees one state throughout."""
        with engines.reading(self.engine) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open the transaction of the one writer."""
        with engines.writing(self.engine) as connection:
            yield connection

    def reached(self, point: str) -> None:
        """Say that one of `POINTS` was passed."""
        self.settings.reached(point)

    def bundle_directory(self, bundle: str) -> Path:
        """Return where a bundle's files are, or would be."""
        return self.root / "bundles" / bundle

    @property
    def trace(self) -> Path:
        """The trace file."""
        return self.root / "trace.jsonl"

    def scenario(self, name: str) -> Scenario:
        """Return a scenario.

        Raises:
            NotFound: There is none of that name.
        """
        return self.settings.scenario(name)

    def policy(self, connection: Connection) -> tuple[int, Policy]:
        """Return the policy as it is now, and its number; 0 is the default policy."""
        found = reader.policy(connection)
        return (found.number, Policy.from_json(found.settings)) if found else (0, Policy())

    def validators(self, connection: Connection, scenario: Scenario) -> frozenset[str]:
        """Return the validators that are switched on now."""
        return frozenset(scenario.validators) - reader.disabled_validators(connection, scenario.name)

    def knowledge(self, connection: Connection, scenario: str) -> Knowledge:
        """Return the knowledge as it is now."""
        found = reader.newest_knowledge(connection, scenario)
        return Knowledge(found.version, found.playbook, found.hints) if found else Knowledge()

    def local(self, bundle: str, manifest: Manifest) -> LocalProvider:
        """Return the provider of a bundle that was just found whole; it loads the weights when first asked."""
        if bundle not in self.loaded:
            # One at a time: a role is served by one bundle, and weights are the largest thing here.
            self.loaded.clear()
            directory = self.bundle_directory(bundle)
            made = self.settings.local(directory, manifest, self.settings.decoding, self.settings.clock)
            self.loaded[bundle] = made
        return self.loaded[bundle]


def _prepare(root: Path, url: str | None, durability: str | None) -> dict[str, Any]:
    """Make the directories, and return what `workspace.json` says."""
    marker = root / "workspace.json"
    try:
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True, exist_ok=True)
        if not marker.exists():
            write_atomically(
                marker, json.dumps({"format": FORMAT, "database": url, "durability": durability or "full"})
            )
        stored = _marked(marker)
    except OSError as error:
        raise WorkspaceError(f"{root} cannot be used as a workspace: {error.strerror}.") from error
    except ValueError as error:
        raise WorkspaceError(f"{marker} is damaged; write {{}} into it to use the default database.") from error
    if stored.get("format", FORMAT) > FORMAT:
        raise WorkspaceError(
            f"{root} has workspace format {stored['format']}, and this stepdown knows up to {FORMAT}: upgrade stepdown.",
            kind="workspace-newer",
        )
    return stored


def _marked(marker: Path) -> dict[str, Any]:
    """Read `workspace.json`, and believe no value of a kind that stepdown does not write.

    Raises:
        ValueError: It is not ours.
    """
    stored: dict[str, Any] = json.loads(marker.read_text("utf-8"))
    kinds = {"format": (int, FORMAT), "database": (str | None, None), "durability": (str, "full")}
    if not isinstance(stored, dict) or not all(isinstance(stored.get(n, d), k) for n, (k, d) in kinds.items()):
        raise ValueError(f"{marker.name} is not a workspace's")
    if stored.get("durability", "full") not in get_args(engines.Durability):
        raise ValueError(f"{marker.name} names no durability")
    return stored


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's text in one step: a reader sees the old text or the new one, whole."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    aside.write_text(text, "utf-8")
    aside.replace(path)
