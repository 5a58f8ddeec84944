"""Profiles: how long, how random, and whether a failure is shrunk.

| profile | for | examples x turns | random | shrinks | keeps failures |
| --- | --- | --- | --- | --- | --- |
| `dev` | the keyboard, at most 15 s | 60 x 30 | yes | yes | yes |
| `ci` | every change | 200 x 36 | no, seeded by the machine's name | no | yes |
| `nightly` | a long search | 2000 x 50 | yes | yes | yes |
| `replay` | failures from a saved database | none new | no | yes | reads only, keeps what it shrank |

Hypothesis registers them as `stepdown-dev` and so on: a project's own `ci` stays its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

PROFILE = "STEPDOWN_MACHINE_PROFILE"
"""Environment variable naming the profile; the pytest option `--machine-profile` sets it."""
DATABASE = "STEPDOWN_MACHINE_DATABASE"
"""Environment variable naming a saved example database, for `replay`; `--machine-database` sets it."""

NAMES = ("dev", "ci", "nightly", "replay")
FIND = (Phase.explicit, Phase.reuse, Phase.generate)
# `target` is left out: scoring one outcome starves the others. `explain` costs four times the shrinking.
SHRINK = (*FIND, Phase.shrink)


def profile(name: str | None = None) -> settings:
    """Return the settings of a profile; without a name, of the one the environment names, else `dev`.

    Raises:
        KeyError: There is no such profile.
    """
    wanted = name or os.environ.get(PROFILE, "dev")
    return _profiles()[wanted]


def register() -> None:
    """Register every profile with Hypothesis under `stepdown-…`."""
    for name, each in _profiles().items():
        settings.register_profile(f"stepdown-{name}", each)


def deterministic(name: str | None = None) -> bool:
    """Tell whether a profile draws the same examples every time.

    Hypothesis' own `derandomize` forbids a database; a fixed seed gives the same and keeps what failed.
    """
    return (name or os.environ.get(PROFILE, "dev")) == "ci"


def _profiles() -> dict[str, settings]:
    # A rule does many things: no deadline, and the time of one example is no health problem.
    calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=False, derandomize=False)
    store = _database()
    return {
        "dev": settings(calm, max_examples=60, stateful_step_count=30, phases=SHRINK, database=store),
        "ci": settings(calm, max_examples=200, stateful_step_count=36, phases=FIND, database=store),
        "nightly": settings(calm, max_examples=2000, stateful_step_count=50, phases=SHRINK, database=store),
        "replay": settings(
            calm, max_examples=100, stateful_step_count=50, phases=(Phase.reuse, Phase.shrink), database=_saved(store)
        ),
    }


def _database() -> ExampleDatabase:
    return DirectoryBasedExampleDatabase(Path(".hypothesis") / "examples")


def _saved(store: ExampleDatabase) -> ExampleDatabase:
    where = os.environ.get(DATABASE)
    return Unshrunk(DirectoryBasedExampleDatabase(where), store) if where else store


class Unshrunk(ExampleDatabase):
    """What another machine saved without shrinking, read and never written; what is found here goes into the own store.

    Hypothesis takes whatever is saved under a test's own key for the smallest there is, and would not try to shrink it.
    Under the key of what was met on the way, it does.
    """

    ON_THE_WAY = b".secondary"

    def __init__(self, saved: ExampleDatabase, own: ExampleDatabase) -> None:
        super().__init__()
        self._saved, self._own = saved, own

    def fetch(self, key: bytes) -> Iterator[bytes]:
        """Yield everything saved for a test, as met on the way."""
        if key.endswith(self.ON_THE_WAY):
            yield from self._saved.fetch(key.removesuffix(self.ON_THE_WAY))
            yield from self._saved.fetch(key)

    def save(self, key: bytes, value: bytes) -> None:
        """Save in the own store."""
        self._own.save(key, value)

    def delete(self, key: bytes, value: bytes) -> None:
        """Delete from the own store."""
        self._own.delete(key, value)
