"""A step's facts for a whole bundle of 300 MiB: read in full, and watched. At most 2 ms warm.

``python benchmarks/look.py [--mebibytes 300]``
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles

from routed_step import SCENARIO, handed_down
from stepdown.acts import switch
from stepdown.acts.opening import open_workspace
from stepdown.bundles.disk import listing, look, publish
from stepdown.bundles.watch import SETTLED
from stepdown.history import ledger, reader, rows
from stepdown.workspace import Settings, Workspace
from stepdown.workspace.facts import gather

LIMIT = 2.0


def enlarged(workspace: Workspace, mebibytes: int) -> str:
    """Register the slot's bundle once more, with so much more in it, and let it serve."""
    with workspace.reading() as connection:
        small = reader.slot_bundle(connection, SCENARIO, "competitor")
        assert small is not None, "a bundle was handed down"
        evaluation = reader.newest_evaluation(connection, small.id)
        assert evaluation is not None, "it was evaluated"
    part = shutil.copytree(workspace.bundle_directory(small.id), workspace.root / "jobs" / "large.part")
    (part / "manifest.json").unlink()
    for number in range(4):
        (part / f"more-{number}.bin").write_bytes(os.urandom(mebibytes << 18))
    found = look(workspace.bundle_directory(small.id), small.id).manifest
    assert found is not None, "it is whole"
    manifest = replace(found, files=listing(part))
    publish(part, manifest, workspace.root / "bundles")
    with workspace.writing() as connection:
        ledger.append(connection, replace(small, id=manifest.id))
        number = reader.count(connection, rows.Evaluation) + 1
        ledger.append(connection, replace(evaluation, id=f"evaluation-{number}", bundle=manifest.id))
    switch.activate(workspace, manifest.id, forced=True)
    return manifest.id


def timed(act: Callable[[], object], times: int) -> list[float]:
    """Return the milliseconds of each turn."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        found.append((time.perf_counter() - began) * 1e3)
    return found


def main() -> None:
    """Print full looks and watched ones of one run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mebibytes", type=int, default=300)
    mebibytes = parser.parse_args().mebibytes
    with (
        tempfile.TemporaryDirectory() as root,
        open_workspace(Path(root) / "w", settings=Settings(durability="normal")) as workspace,
    ):
        handed_down(workspace, Path(root) / "tape.jsonl")
        bundle = enlarged(workspace, mebibytes)
        time.sleep(SETTLED / 1e9 + 0.5)
        scenario = workspace.scenario(SCENARIO)

        def facts() -> None:
            with workspace.writing() as connection:
                scene = gather(workspace, connection, scenario, "competitor", 0)
            assert scene.facts.whole
            assert scene.facts.bundle == bundle

        full = timed(lambda: look(workspace.bundle_directory(bundle), bundle), 5)
        first, warm = timed(facts, 1), timed(facts, 200)
    low, high = quantiles(warm, n=20)[0], quantiles(warm, n=20)[-1]
    spread = f"{min(full):.0f} to {max(full):.0f}"
    print(f"{mebibytes} MiB: a full look {median(full):.0f} ms ({spread}), the first facts {first[0]:.0f} ms")
    print(
        f"watched: facts in {median(warm):.2f} ms ({low:.2f} to {high:.2f}, 5 % to 95 %); at most {LIMIT:g} ms wanted"
    )


if __name__ == "__main__":
    main()
