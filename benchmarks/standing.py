"""Standing and breaker from 10 or 10,000 registrations and 100,000 attempts: how long a step looks them up, and by which index.

    python benchmarks/standing.py

Promised: at most 1 ms, and flat in the number of bundles and attempts. Half of the attempts are shadows, which carry no breaker
and must not be waded through. Runs are of 100 attempts and the last of them is under way; while the breaker is open, a step
asks too whether somebody is probing at this moment, which takes a fifth of a microsecond for every run there ever was.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, event

from stepdown.acts.opening import open_workspace
from stepdown.history import ledger, reader, rows
from stepdown.routing.breaker import Breaker
from stepdown.workspace import Settings, Workspace
from stepdown.workspace.facts import breaker_of, is_disabled

SCENARIO, ROLE = "grid_ctf", "competitor"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
REPEATS = 300
RUN = 100
"""Attempts in a run."""


def bundles(count: int) -> Iterator[rows.Bundle]:
    for number in range(count):
        name = f"{number:064x}"
        at = BEGIN + timedelta(seconds=number)
        yield rows.Bundle(name, SCENARIO, ROLE, name, name, name, at, "0", at)


def acts(count: int) -> Iterator[rows.Act]:
    for number in range(count):
        for kind in ("activate", "disable", "enable"):
            yield rows.Act(kind, SCENARIO, ROLE, f"{number:064x}", True, "benchmark", "", BEGIN)


def calls(count: int, bundle: str) -> Iterator[tuple[rows.Announcement, rows.Step, rows.Attempt]]:
    stored = Breaker(failures=(BEGIN,)).as_json()
    for number in range(count):
        run, shadow = f"run-{number // RUN}", number >= count // 2
        step = f"{run}/1/{number}"
        asked = (run, 1, number, ROLE, number, 0, 0, [], "prompt", {}, [])
        call = rows.Announcement(
            f"{step}/1", step, *asked, "local", shadow, "stepdown-local", bundle, bundle, "0", BEGIN
        )
        taken = rows.Step(
            step, *asked, "local", None, "served", None, "local", f"{step}/1", "{}", None, 0.5, False, BEGIN
        )
        answered = ("stepdown-local", bundle, "0", None, None, "{}", [], 0.5, 7, 5, 0.0, 0.01)
        breaker = None if shadow else stored
        attempt = rows.Attempt(
            f"{step}/1", step, "local", shadow, "stepdown-local", bundle, bundle, *answered, breaker, False, BEGIN
        )
        yield call, taken, attempt


def fill(workspace: Workspace, registrations: int, attempts: int) -> None:
    with workspace.writing() as connection:
        ledger.append_all(connection, bundles(registrations))
        ledger.append_all(connection, acts(registrations))
        runs = [f"run-{number}" for number in range(attempts // RUN)]
        ledger.append_all(connection, (rows.Run(run, SCENARIO, 1, 0, 1, RUN, "search", "0", BEGIN) for run in runs))
        ledger.append_all(connection, (rows.Ending(run, "completed", None, BEGIN) for run in runs[:-1]))
        for kind in zip(*calls(attempts, f"{registrations - 1:064x}"), strict=True):
            ledger.append_all(connection, kind)


def look_up(connection: Connection) -> None:
    """Ask what a step asks about its slot's bundle."""
    bundle = reader.slot_bundle(connection, SCENARIO, ROLE)
    assert bundle is not None
    is_disabled(connection, bundle.id)
    assert breaker_of(connection, bundle.id).failures


def median_ms(act: Callable[[], None]) -> float:
    """Return the median milliseconds of an act that is warm."""
    act()
    spent = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        act()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent) * 1000


def plans(workspace: Workspace) -> list[str]:
    """Return how the database finds what a step looks up, one line for each question."""
    asked: list[tuple[str, object]] = []
    listener = lambda _c, _cursor, statement, values, *_: asked.append((statement, values))  # noqa: E731
    event.listen(workspace.engine, "before_cursor_execute", listener)
    with workspace.reading() as connection:
        look_up(connection)
    event.remove(workspace.engine, "before_cursor_execute", listener)
    found = []
    with workspace.reading() as connection:
        for statement, values in asked:
            explained = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            found += [row[3] for row in explained]
    return found


def main() -> None:
    print(f"{'registrations':>13} {'attempts':>8} {'ms':>7} {'while open':>10}")
    for registrations, attempts in ((10, 100), (10_000, 100), (10, 100_000), (10_000, 100_000)):
        with (
            tempfile.TemporaryDirectory() as directory,
            open_workspace(Path(directory) / "w", settings=Settings(durability="normal")) as workspace,
        ):
            fill(workspace, registrations, attempts)
            with workspace.reading() as connection:
                spent = median_ms(lambda: look_up(connection))
                probing = median_ms(lambda: reader.unfinished(connection))
            print(f"{registrations:>13} {attempts:>8} {spent:>7.3f} {spent + probing:>10.3f}")
            explained = plans(workspace)
    print("\n".join(explained))


if __name__ == "__main__":
    main()
