"""A finding about somebody else's system has all its parts, and its script needs nothing of this project."""

import ast
from pathlib import Path

import pytest
from strangers.__main__ import FINDINGS, adapters, named, needs

SCRIPTS = sorted(FINDINGS.glob("*.py"))
PARTS = ("- **Version:** ", "- **Class:** ", "## Expected", "## Observed", "## Why it matters", "## Reported in public")
CLASSES = ("defect", "surprising but documented", "missing")


def test_every_page_has_its_script_and_every_script_its_page() -> None:
    pages = {path.stem for path in FINDINGS.glob("*.md")} - {"README"}
    assert pages == {path.stem for path in SCRIPTS}
    assert pages
    overview = (FINDINGS / "README.md").read_text("utf-8")
    assert all(f"]({page}.md)" in overview for page in pages)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_finding_has_all_its_parts_and_a_script_that_stands_alone(script: Path) -> None:
    page = script.with_suffix(".md").read_text("utf-8")
    assert all(part in page for part in PARTS)
    assert any(f"- **Class:** {kind}\n" in page for kind in CLASSES)
    assert f"--finding {script.stem}`" in page
    assert all("==" in need for need in needs(script)[:1]), "the system is pinned"
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(script.read_text("utf-8")))
        for name in (
            [each.name for each in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "") or ""]
        )
    }
    assert not {each for each in imported if each.startswith("stepdown") or each == "hypothesis"}


@pytest.mark.parametrize("name", adapters())
def test_every_stranger_is_pinned_says_what_the_oracle_gave_up_and_stands_on_the_page(name: str) -> None:
    page = (FINDINGS.parent / "systems.md").read_text("utf-8")
    system, *rest = named(name, "REQUIREMENTS")

    assert all("==" in need for need in (system, *rest))
    assert f"`{system}` | `strangers/{name}.py`" in page
    assert named(name, "GIVEN_UP")
    assert set(named(name, "SHOWS").values()) <= {script.stem for script in SCRIPTS}
    assert set(named(name, "SHOWS")) <= set(named(name, "CAMPAIGNS"))
