"""How the machine behaves for those who use it: determinism, scripts, leaks, profiles, plugin."""

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from hypothesis import settings

from holdings import held
from stepdown_machine import operations as op
from stepdown_machine.broken import VARIANTS, system
from stepdown_machine.campaign import campaign
from stepdown_machine.findings import Disagreement
from stepdown_machine.invariants import CLAIMS
from stepdown_machine.kill_matrix import machine_for, main, reproduced, variant_runs
from stepdown_machine.machine import HandoffMachine, LearningMachine, RegistryMachine, RoutingMachine, case
from stepdown_machine.protocol import HandoffSystem
from stepdown_machine.reach import REACHED, reach
from stepdown_machine.rules.turns import TurnMachine, replay
from stepdown_machine.script import script, spelled
from stepdown_machine.session import Session
from stepdown_machine.settings import NAMES, profile
from stepdown_machine.shorten import Program
from stepdown_machine.values import Policy

INSTALLED = any(each.value == "stepdown_machine.pytest_plugin" for each in entry_points(group="pytest11"))
SHRUNK = ("base-model-serves", "tokens-of-the-other", "mean-as-lower-bound")


class ToyMachine(HandoffMachine):
    """The machine as a stranger would subclass it."""

    def system(self) -> HandoffSystem:
        return system("correct")  # type: ignore[no-any-return]


TestToy = case(ToyMachine)
TestToy.settings = settings(TestToy.settings, max_examples=12)  # type: ignore[attr-defined] # That it runs; for more see power.


def child(code: str, *, path: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=path, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("kind", [RoutingMachine, LearningMachine, RegistryMachine])
def test_focused_machines_share_the_rules_and_are_green_on_the_toy(kind: type[TurnMachine]) -> None:
    machine = type(f"Toy{kind.__name__}", (kind,), {"system": lambda _self: system("correct")})

    assert campaign(machine, 0, examples=12).claims == ()


def test_the_same_seed_gives_the_same_program_and_the_same_verdict() -> None:
    first, second = (campaign(machine_for("failure-disables"), 7) for _ in range(2))

    assert first.claims == second.claims
    assert "I11" in first.claims
    assert first.session is not None
    assert second.session is not None
    assert first.session.operations == second.session.operations
    assert first.reach.rules == second.reach.rules


@pytest.mark.parametrize("variant", SHRUNK)
def test_a_shrunk_program_is_short_and_its_script_fails_without_hypothesis(variant: str, tmp_path: Path) -> None:
    found = campaign(machine_for(variant), 3, shrink=True, examples=60)
    assert found.session is not None
    assert found.turns <= 6
    text = script(found.session.description.origin, found.session.operations, found.message, variant)
    path = tmp_path / "script.py"
    path.write_text(text, "utf-8")

    ran = child(f"import sys; sys.modules['hypothesis'] = None; exec(open({str(path)!r}).read())", path=tmp_path)

    assert ran.returncode == 1
    assert "Disagreement" in ran.stderr
    assert found.claims[0] in ran.stderr


def test_a_failing_example_writes_its_script_and_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPDOWN_MACHINE_SCRIPTS", str(tmp_path))

    found = campaign(machine_for("base-model-serves"), 0, examples=20)

    (written,) = tmp_path.glob("*.py")
    assert str(written) in found.output
    assert "session.act(operation)" in written.read_text("utf-8")


def test_a_failure_says_what_the_model_says_what_the_system_did_and_why() -> None:
    found = campaign(machine_for("failure-disables"), 1, examples=40)

    assert "I11" in found.claims
    claim, _, sentence = found.message.partition(": ")
    assert (claim in found.claims, sentence.split("\n")[0]) == (True, CLAIMS[claim])
    for word in ("expected  ", "but it was", "because", "after"):
        assert f"\n  {word}" in found.message


def test_a_script_of_what_was_fixed_says_so(tmp_path: Path) -> None:
    origin = system("correct").describe().origin
    path = tmp_path / "script.py"
    path.write_text(script(origin, [op.Run(0), op.SetPolicy(Policy(max_age=0.0))], "nothing", "Fixed."), "utf-8")

    ran = child(f"exec(open({str(path)!r}).read())", path=tmp_path)

    assert "does not happen any more" in ran.stderr


@pytest.mark.parametrize(
    "operation",
    [
        op.Run(3),
        op.Crash(op.Train("dataset-1", "tiny-a", fresh=True), "shelved"),
        op.SetPolicy(Policy(min_score=float("nan"))),
    ],
)
def test_an_operation_is_spelled_so_that_it_evaluates_to_itself(operation: op.Operation) -> None:
    names = vars(op) | {"Policy": Policy, "nan": float("nan")}

    assert repr(eval(spelled(operation), names)) == repr(operation)


def test_a_hundred_examples_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    campaign(ToyMachine, 1, examples=5, turns=3)
    before = held(tmp_path)

    assert campaign(ToyMachine, 2, examples=100, turns=3).reach.examples >= 100

    assert held(tmp_path) == before


def test_every_broken_promise_at_a_point_is_found_and_the_headline_is_the_first() -> None:
    session = Session(system("disabled-activates"))
    for operation in (op.Run(0, 1, 2), op.Export(), op.Train("dataset-1", "tiny-a"), op.Disable("bundle-1")):
        session.act(operation)

    with pytest.raises(Disagreement) as caught:
        session.act(op.Activate("bundle-1"))

    assert [finding.claim for finding in caught.value.findings] == ["I10", "A0"]
    assert caught.value.findings[1].says == "refused as bundle-disabled"
    assert str(caught.value).startswith("I10: history explains the state")


def test_case_applies_the_active_profile_to_that_very_class(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv("STEPDOWN_MACHINE_PROFILE", name)
        machine = type("AnyMachine", (ToyMachine,), {})

        made = case(machine)

        assert made.settings.max_examples == profile(name).max_examples
        assert made.settings.deadline is None


def test_profiles_leave_a_projects_own_names_alone() -> None:
    from stepdown_machine.settings import register

    mine = settings.get_profile("ci")
    register()

    assert settings.get_profile("ci") is mine
    assert settings.get_profile("stepdown-ci").max_examples == profile("ci").max_examples


def test_the_ci_profile_draws_the_same_examples_every_time() -> None:
    """Through `case`, as a user has it: the rules that were taken, and which followed which."""
    seen = []
    for _ in range(2):
        made = case(type("SteadyMachine", (ToyMachine,), {}), "ci")
        made.settings = settings(made.settings, max_examples=14, stateful_step_count=4, database=None)
        REACHED.pop("SteadyMachine", None)
        made("runTest").runTest()
        seen.append(reach("SteadyMachine").pairs)

    assert seen[0] == seen[1]
    assert len(seen[0]) > 10


def test_a_case_is_known_for_what_it_is() -> None:
    """By pytest's plugin of Hypothesis, and by HypoFuzz."""
    made = case(ToyMachine, "dev")

    assert made.runTest.is_hypothesis_test
    assert made.runTest._hypothesis_state_machine_class is ToyMachine


def test_the_plugin_loads_without_hypothesis(tmp_path: Path) -> None:
    ran = child(
        "import sys, stepdown_machine.pytest_plugin\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('hypothesis', 'stepdown')))\n"
        "print(sorted(name for name in sys.modules if name.startswith('stepdown_machine')))",
        path=tmp_path,
    )

    assert ran.stdout.splitlines() == ["[]", "['stepdown_machine', 'stepdown_machine.pytest_plugin']"], ran.stderr


FAILING = """
from stepdown_machine.broken import system
from stepdown_machine.machine import HandoffMachine, case


class Mine(HandoffMachine):
    def system(self):
        return system("base-model-serves")


TestMine = case(Mine)
"""


def pytest_of(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on `test_it.py` in a process of its own."""
    plugin = () if INSTALLED else ("-p", "stepdown_machine.pytest_plugin")
    arguments = ["-q", "-p", "no:cacheprovider", *plugin, *options, "test_it.py"]
    return child(f"import pytest, sys; sys.exit(pytest.main({arguments!r}))", path=path)


def test_pytest_options_choose_profile_and_scripts_and_demand_reach(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FAILING, "utf-8")

    ran = pytest_of(tmp_path, "--machine-profile=ci", "--machine-scripts=written", "--machine-reach")

    assert ran.returncode == 1
    (written,) = (tmp_path / "written").iterdir()
    claim = written.stem.removeprefix("Mine_")
    assert f"{claim}: {CLAIMS[claim]}" in ran.stdout
    assert "reach of Mine" in ran.stdout


def test_reach_is_refused_where_other_processes_would_reach_it(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FAILING, "utf-8")

    ran = pytest_of(tmp_path, "--machine-reach", "-n", "1")

    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--machine-reach counts what machines of one process reached; say it without -n." in ran.stderr


def test_a_failure_saved_unshrunk_is_shrunk_when_it_is_replayed(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FAILING, "utf-8")

    found = pytest_of(tmp_path, "--machine-profile=ci")
    (tmp_path / ".hypothesis").rename(tmp_path / "fetched")
    replayed = pytest_of(tmp_path, "--machine-profile=replay", "--machine-database=fetched/examples")

    assert found.returncode == replayed.returncode == 1
    before, after = (ran.stdout.count("E           state.") for ran in (found, replayed))
    assert after < before
    assert after <= 12
    again = pytest_of(tmp_path, "--machine-profile=dev")
    assert again.stdout.count("E           state.") == after


@pytest.mark.parametrize("name", ["correct", *list(VARIANTS)[:3]])
def test_a_system_describes_where_a_script_finds_it(name: str) -> None:
    origin = system(name).describe().origin

    assert (origin.module, origin.name, origin.arguments) == ("stepdown_machine.broken", "system", (name,))


def test_a_rival_may_have_seen_a_probe_that_closed_the_breaker_before_its_step_was_told() -> None:
    """The oracle once called this a broken promise: the correct toy refuses local while another step's probe is under way."""
    at_once = op.Rival(op.Run(0), op.Run(0))
    program: Program = (
        ("begin", {"start": "empty"}),
        ("lead_to", {"cause": "local-cooldown", "choice": 0}),
        ("disturb", {"local": "load-failed", "frontier": "calm", "runs": 1}),
        ("mend", {}),
        ("race", {"what": at_once}),
    )

    session, failed = replay(machine_for("correct"), program)

    assert failed is None
    assert session is not None
    assert {one.step.reason for one in session.routed[-2:]} == {None, "local-cooldown"}


def test_the_kill_matrix_runs_the_script_of_what_it_shrank() -> None:
    (one,) = variant_runs(["base-model-serves"], [0], shrink=True)
    assert one.killed
    assert one.reproduced

    verdict = campaign(machine_for("base-model-serves"), 0)
    assert reproduced(verdict)
    assert not reproduced(replace(verdict, claims=("I12",)))


def test_the_kill_matrix_refuses_a_variant_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nonsense"])

    assert "there is no variant nonsense" in capsys.readouterr().err
