"""A language model behind a server that nobody here wrote: mlx-lm's own, asked through the `openai` SDK."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from journey import BEST, active, attempts, compete, steps
from local_samples import ROWS, fit, loaded, write_dataset
from one_answer import mlx_lm_server, write_model
from stepdown.acts import switch
from stepdown.acts.opening import open_workspace
from stepdown.acts.run import play, start
from stepdown.errors import ProviderError
from stepdown.providers import trace
from stepdown.providers.openai import OpenAI
from stepdown.providers.protocol import Request
from stepdown.scenarios.grid_ctf import GridCtf
from stepdown.training.plan import Plan
from stepdown.views.audit import differences
from stepdown.workspace import Settings, Workspace


@dataclass(frozen=True)
class Served:
    """A running server, its model and what it logs."""

    url: str
    model: Path
    log: Path

    @property
    def posts(self) -> int:
        """Completions that the server says it was asked for."""
        return len(re.findall(r'"POST /v1/chat/completions HTTP/1\.\d" 200', self.log.read_text()))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for the module."""
    root = tmp_path_factory.mktemp("mlx-lm")
    model, log = write_model(root / "model", BEST), root / "log"
    with mlx_lm_server(model, log) as url:
        yield Served(url, model, log)


def test_the_model_answers_and_its_counts_are_those_of_the_server(served: Served) -> None:
    provider = OpenAI(str(served.model), served.url)
    request = Request("run/1/0/1", "competitor", "strategy:", GridCtf().schema(), 7, 60, instructions="Play well.")

    first, second = provider.complete(request), provider.complete(request)

    assert (first.reply, first.model, first.finish_reason) == (BEST, str(served.model), "stop")
    # Every byte is a token, and two marks say who speaks; the answer is one token, and its end another.
    assert first.input_tokens == len("Play well.\n\nstrategy:") + 2
    assert first.output_tokens == 2
    assert first.cached_tokens == 0
    assert second.cached_tokens is not None
    assert 0 < second.cached_tokens < first.input_tokens
    assert first.request_id
    assert first.request_id.startswith("chatcmpl-")


def test_a_bundle_of_ours_behind_the_server_says_what_it_says_here(tmp_path: Path) -> None:
    assert (
        fit(write_dataset(tmp_path / "dataset"), tmp_path / "bundle", Plan.tiny(iterations=80, window=512)).returncode
        == 0
    )
    prompt = str(ROWS[0]["prompt"])
    with mlx_lm_server(tmp_path / "bundle", tmp_path / "log") as url:
        said = OpenAI(str(tmp_path / "bundle"), url).complete(Request("run/1/0/1", "competitor", prompt, {}, 0, 60))

    (here,) = loaded(tmp_path / "bundle").generate([prompt], max_tokens=96)
    assert (said.reply, said.input_tokens) == (here.text, here.input_tokens)


def test_a_run_on_it_is_true_and_both_witnesses_agree_with_the_servers_own_log(
    served: Served, tmp_path: Path, settings: Settings
) -> None:
    before = served.posts
    with open_workspace(tmp_path / "w", settings=settings) as workspace:
        word = f"openai:{served.model}@{served.url}"
        run = play(start(workspace, "grid_ctf", generations=1, candidates=3, frontier=word))
        found = [attempt for step in steps(workspace, run.id) for attempt in attempts(workspace, step)]
        assert differences(workspace) == []

    ends = [line for line in trace.lines(tmp_path / "w" / "trace.jsonl") if line.event == "end"]
    assert len(found) == 3
    assert {attempt.reply for attempt in found} == {BEST}
    assert {attempt.provider for attempt in found} == {f"openai@{served.url.split('/')[2]}"}
    assert served.posts - before == len(ends)
    assert all(line.finish_reason == "stop" and line.output_tokens == 2 for line in ends)


def test_a_model_that_the_server_does_not_have_is_a_failure_in_one_word(served: Served, tmp_path: Path) -> None:
    provider = OpenAI(str(tmp_path / "nothing"), served.url, pause=0.01)

    with pytest.raises(ProviderError) as caught:
        provider.complete(Request("run/1/0/1", "competitor", "strategy:", GridCtf().schema(), 7, 60))

    assert caught.value.error_type == "not-found"


def test_both_ends_are_language_models_and_each_answers_for_itself(
    served: Served, local: Workspace, settings: Settings
) -> None:
    before, bundle = served.posts, active(local)
    mine = compete(local, frontier=f"openai:{served.model}@{served.url}")
    switch.disable(local, bundle.id, by="tester", why="the other end's turn")
    theirs = compete(local, frontier=f"openai:{served.model}@{served.url}", seed=1)

    assert (mine.served, theirs.served, theirs.reason) == ("local", "frontier", "bundle-disabled")
    (ours,), (hosted,) = attempts(local, mine), attempts(local, theirs)
    assert (ours.provider, ours.digest) == ("stepdown-local", bundle.weights)
    assert (hosted.reply, hosted.model, hosted.digest) == (BEST, str(served.model), None)
    assert differences(local) == []
    asked = [line for line in trace.lines(local.trace) if line.requested_provider.startswith("openai@")]
    assert served.posts - before == len([line for line in asked if line.event == "end"])
