"""What history says was published, and the disk does not hold as it was: named, with what to do."""

import os
from collections.abc import Iterator

from stepdown.acts import datasets
from stepdown.bundles.disk import Condition
from stepdown.bundles.standing import Status, fold
from stepdown.history import reader, rows
from stepdown.workspace import Workspace


def lost_bundles(workspace: Workspace) -> Iterator[str]:
    """Yield what is wrong with each registered bundle; one that was retired or deleted serves nobody, and is not missed."""
    with workspace.reading() as connection:
        standing, registered = fold(reader.acts(connection)), reader.bundles(connection)
    for bundle in registered:
        status = standing.status(bundle.id)
        if status is Status.RETIRED:
            continue
        look = workspace.look(bundle.id)
        problem = look.problem or look.base_problem
        if look.condition is not Condition.WHOLE or problem:
            yield f"{bundle.id[:12]}, {status} of {bundle.scenario} {bundle.role}: {problem}"


def lost_datasets(workspace: Workspace) -> Iterator[str]:
    """Yield what is wrong with each dataset that was exported."""
    with workspace.reading() as connection:
        digests = dict.fromkeys(row.digest for row in reader.all_of(connection, rows.Dataset))
    room = workspace.root / "datasets"
    if room.exists() and not os.access(room, os.R_OK | os.X_OK):
        return  # That nobody may look into it is said of the room.
    for digest in digests:
        path = room / digest
        if not path.is_dir():
            yield f"{digest[:12]}: its directory is gone"
        elif not datasets.is_whole(path, digest):
            yield f"{digest[:12]}: its files are not those that were exported"
