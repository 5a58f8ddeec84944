"""Options and profiles for pytest. A project that installs this and does not use it pays nothing: no Hypothesis here.

--machine-profile=ci          which profile `case` applies: dev, ci, nightly, replay
--machine-database=DIR        a saved example database, for --machine-profile=replay
--machine-scripts=DIR         where scripts of failing examples are written
--machine-reach               print what the machines reached, and fail when an obligation is unmet
"""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

PROFILES = ("dev", "ci", "nightly", "replay")
VARIABLES = {
    "machine_profile": "STEPDOWN_MACHINE_PROFILE",
    "machine_database": "STEPDOWN_MACHINE_DATABASE",
    "machine_scripts": "STEPDOWN_MACHINE_SCRIPTS",
    "machine_adapter": "STEPDOWN_MACHINE_ADAPTER",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("stepdown-machine", "stepdown's state machine")
    group.addoption("--machine-profile", choices=PROFILES, help="how long and how random machines run (default: dev)")
    group.addoption("--machine-database", metavar="DIR", help="saved example database that `replay` reads")
    group.addoption("--machine-scripts", metavar="DIR", help="directory for scripts of failing examples")
    group.addoption("--machine-adapter", metavar="MODULE:NAME", help="adapter for stepdown_machine.conformance")
    group.addoption("--machine-reach", action="store_true", help="print what machines reached, fail if too little")


def pytest_configure(config: pytest.Config) -> None:
    """Hand the options to `settings` and `script` by environment: test modules are not imported yet."""
    if config.getoption("machine_reach") and config.getoption("dist", "no") != "no" and config.getoption("tx", None):
        # What workers reached stays with them, and nothing would be unmet here.
        sentence = "--machine-reach counts what machines of one process reached; say it without -n."
        raise pytest.UsageError(sentence)
    for option, variable in VARIABLES.items():
        value = config.getoption(option)
        if value is not None:
            os.environ[variable] = value


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a green session whose machines did not reach what they must."""
    if session.config.getoption("machine_reach") and session.exitstatus == 0 and any(_unmet().values()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the summary of every machine that ran."""
    if not config.getoption("machine_reach"):
        return
    for machine, reached in _reached().items():
        terminalreporter.section(f"reach of {machine}")
        terminalreporter.write_line(reached.summary())
        for line in _unmet()[machine]:
            terminalreporter.write_line(f"UNMET {line}", red=True)


def _reached() -> dict[str, Any]:
    """Return what was counted; nothing when no machine was ever imported."""
    module = sys.modules.get("stepdown_machine.reach")
    return dict(module.REACHED) if module is not None else {}


def _unmet() -> dict[str, list[str]]:
    return {machine: list(reached.unmet()) for machine, reached in _reached().items()}
