"""One directory = one system. The composition root: paths, engine, clock, providers, and the points a crash can fall between.

::

    .stepdown/
      stepdown.db      the run database (or elsewhere: `workspace.json` says where)
      workspace.json   format and database URL
      trace.jsonl      the second witness
      datasets/        exports, by digest
      bundles/         trained models, by id
      bases/           pretrained models, by name; made with the first
      jobs/            trainings under way, `<job>.<session>.part`
      knowledge/       playbook and hints of each scenario, written from the newest row
      sessions/        locks of living processes; beside a SQLite database that lies elsewhere
      unknown/         bundles and datasets that no row knows, set aside and kept until a person decides

A workspace may be used by all threads of the process that opened it: transactions are taken in turn by the database, and
the claim and the loaded model are guarded. A forked child must open it again; what it inherited refuses to work. Where
nobody may write, a workspace is opened to be read: nothing is recovered, made or locked, and whatever writes is refused.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import URL, Connection, Engine

from stepdown.bases import disk as bases
from stepdown.bundles import disk
from stepdown.bundles.disk import Condition, Look
from stepdown.bundles.manifest import Manifest
from stepdown.bundles.marks import marks
from stepdown.bundles.watch import LookCache
from stepdown.clock import Clock
from stepdown.errors import WorkspaceError
from stepdown.history import engine as engines
from stepdown.history import reader
from stepdown.history.snapshot import Snapshot
from stepdown.providers.installed import frontier_named
from stepdown.providers.protocol import LocalProvider, Provider
from stepdown.routing.policy import Policy
from stepdown.scenarios.installed import scenario_named
from stepdown.scenarios.prompt import Knowledge
from stepdown.scenarios.protocol import Scenario
from stepdown.training.decoding import Decoding
from stepdown.training.evaluation import Terms, terms
from stepdown.workspace.marker import TRACE
from stepdown.workspace.points import nowhere
from stepdown.workspace.sessions import Session


def local_provider(
    directory: Path, manifest: Manifest, decoding: Decoding, clock: Clock, base: Path | None
) -> LocalProvider:
    """Open a bundle, and the base that it answers with, as a provider; imports mlx when it is first asked."""
    from stepdown.local.provider import BundleProvider

    return BundleProvider(directory, manifest, decoding, clock, base)


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
    scenario: Callable[[str], Scenario] = scenario_named
    frontier: Callable[[str, Scenario], Provider] = frontier_named
    local: Callable[[Path, Manifest, Decoding, Clock, Path | None], LocalProvider] = local_provider
    decoding: Decoding = Decoding()
    durability: engines.Durability | None = None
    engine: Callable[[str | URL, engines.Durability, int], Engine] = engines.create
    reached: Callable[[str], None] = nowhere
    cache: Path | None = None
    busy_milliseconds: int = engines.BUSY_MILLISECONDS


def unrecovered(_workspace: "Workspace") -> None:
    """Close nothing: what a workspace does with unfinished calls unless `acts.opening` opened it."""


@dataclass(slots=True)
class Workspace:
    """An open workspace; `acts.opening.open_workspace` opens one.

    Use it as a context manager: leaving it closes what was left unfinished and gives up its claim.

    Attributes:
        root: The directory.
        engine: Of the run database.
        settings: What it is composed of.
        session: This process's claim.
        loaded: Local providers by bundle id. An id is the digest of the content, so a change is another id.
        snapshot: The database as it can be read where nobody may write; None where this process may.
        read_only: Whether everything that writes is refused.
        closing: Called with the workspace once its claim is given up, to close what it announced and did not finish.
        announcing: Held from a call's announcement to its start in the trace, so that both witnesses have calls that are asked
            side by side in one order.
        looks: What was found of bundles and bases whose files have not changed since.
    """

    root: Path
    engine: Engine = field(repr=False)  # Its URL is for nobody's eyes.
    settings: Settings
    session: Session
    loaded: dict[str, LocalProvider]
    snapshot: Snapshot | None = None
    read_only: bool = False
    closing: Callable[["Workspace"], object] = unrecovered
    announcing: threading.Lock = field(default_factory=threading.Lock, repr=False)
    looks: LookCache = field(default_factory=LookCache, repr=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def close(self) -> None:
        """Give up the claim, close what this process announced and did not finish, and let go of the database.

        Raises:
            WorkspaceError: This is a forked child, and nothing here is its own to close.
        """
        self.session.check_process()
        held = self.session.held
        self.session.end()
        try:
            if held:
                self.closing(self)
        finally:
            self.loaded.clear()
            self.engine.dispose()
            if self.snapshot is not None:
                self.snapshot.close()

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
        try:
            return self.settings.clock.now().astimezone(UTC)
        except (OverflowError, ValueError) as error:
            raise WorkspaceError("The clock stands at a time that no calendar has in UTC; set it right.") from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that sees one state throughout."""
        self.session.check_process()
        with engines.reading(self.engine) as connection:
            yield connection
        if self.snapshot is not None:
            self.snapshot.check()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open the transaction of the one writer.

        Raises:
            WorkspaceError: The workspace can only be read here.
        """
        self.check_writable()
        with engines.writing(self.engine) as connection:
            yield connection

    def check_writable(self) -> None:
        """Refuse what would write, before work is begun whose result could not be kept.

        Raises:
            WorkspaceError: The workspace can only be read here.
        """
        self.session.check_process()
        if self.read_only:
            raise WorkspaceError(
                f"{self.root} is read-only for this user; make it writable, or copy it to a place of your own."
            )

    def reached(self, point: str) -> None:
        """Say that one of `POINTS` was passed."""
        self.settings.reached(point)

    def bundle_directory(self, bundle: str) -> Path:
        """Return where a bundle's files are, or would be."""
        return self.root / "bundles" / bundle

    def look(self, bundle: str) -> Look:
        """Look at a registered bundle, and at the base that it answers with."""
        directory = self.bundle_directory(bundle)
        # Through `disk`, where a test may count the looks that read every byte.
        look, seen = self.looks.look(
            directory, bundle, lambda: disk.look(directory, bundle), lambda look: look.condition is Condition.WHOLE
        )
        return self.with_base(replace(look, marks=(seen,)))

    def remembered(self, bundle: str) -> Look | None:
        """Return the last look at a bundle and its base; None where a look would have to read bytes now."""
        kept = self.looks.remembered(self.bundle_directory(bundle), bundle)
        if kept is None:
            return None
        look: Look = replace(kept[0], marks=(kept[1],))
        digest = look.manifest.base if look.manifest is not None else None
        base = bases.locate(self.root, digest) if digest else None
        if digest and (base is None or self.looks.remembered(base, digest) is None):
            return None
        return self.with_base(look)

    def with_base(self, look: Look) -> Look:
        """Complete a look at a bundle with one at its base."""
        if look.manifest is None or not look.manifest.base:
            return look
        digest = look.manifest.base
        base = bases.locate(self.root, digest)
        if base is None:
            return replace(look, base_problem=f"no base of the digest {digest[:12]} is here")
        problem, seen = self.looks.look(base, digest, lambda: bases.problem(base, digest), lambda problem: not problem)
        problem = problem and f"{base.name}: {problem}"
        return replace(look, base=base, base_problem=problem, marks=(*look.marks, seen))

    def unchanged(self, bundle: str, look: Look) -> bool:
        """Tell whether no file of a bundle, or of its base, changed since a look at it began."""
        directories = [path for path in (self.bundle_directory(bundle), look.base) if path is not None]
        return look.marks == tuple(map(marks, directories))

    @property
    def trace(self) -> Path:
        """The trace file."""
        return self.root / TRACE

    def scenario(self, name: str) -> Scenario:
        """Return a scenario.

        Raises:
            NotFound: There is none of that name.
        """
        return self.settings.scenario(name)

    def policy(self, connection: Connection) -> tuple[int, Policy]:
        """Return the policy as it is now, and its number; 0 is the default policy."""
        change = reader.policy(connection)
        return (change.number, Policy.from_json(change.settings)) if change else (0, Policy())

    def validators(self, connection: Connection, scenario: Scenario) -> frozenset[str]:
        """Return the validators that are switched on now."""
        names = frozenset(scenario.validators)
        return names - reader.disabled_validators(connection, scenario.name, names)

    def terms(self, scenario: Scenario, role: str | None = None, seeds: Sequence[int] | None = None) -> Terms:
        """Return the terms of an evaluation here and now; by default of the held-out seeds, and routing counts no others."""
        return terms(scenario, self.settings.decoding, seeds, role)

    def knowledge(self, connection: Connection, scenario: str) -> Knowledge:
        """Return the knowledge as it is now."""
        lesson = reader.newest_knowledge(connection, scenario)
        return Knowledge(lesson.version, lesson.playbook, lesson.hints) if lesson else Knowledge()

    def provider(self, directory: Path, look: Look) -> LocalProvider:
        """Return a provider of its own for a bundle's files, wherever they lie.

        Args:
            directory: The files'.
            look: What a look at them says, their manifest and their base.
        """
        assert look.manifest is not None, "only what was found whole is opened"
        settings = self.settings
        return settings.local(directory, look.manifest, settings.decoding, settings.clock, look.base)

    def local(self, bundle: str, look: Look) -> LocalProvider:
        """Return the provider of a bundle that was just found whole; it loads the weights when first asked."""
        self.session.check_process()
        with self._turn:
            if bundle not in self.loaded:
                # One at a time: a role is served by one bundle, and weights are the largest thing here.
                self.loaded.clear()
                self.loaded[bundle] = self.provider(self.bundle_directory(bundle), look)
            return self.loaded[bundle]
