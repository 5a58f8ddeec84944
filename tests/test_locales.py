"""Whatever language and encoding a system is set to, files are UTF-8 and a command ends in a documented code and a sentence."""

import json
import locale
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rotation import part
from stepdown.cli.output import as_text
from test_manners import SOURCE, answered

OLD = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""Python helps a system without a locale in two ways; an administrator may have switched both off."""

LOCALES = {
    "C": {"LC_ALL": "C"},
    "POSIX": {"LC_ALL": "POSIX"},
    "C, and no help": {"LC_ALL": "C", **OLD},
    "POSIX, and no help": {"LC_ALL": "POSIX", **OLD},
    "C, streams of Latin-1": {"LC_ALL": "C", **OLD, "PYTHONIOENCODING": "latin-1:strict"},
    "none that there is": {"LC_ALL": "xx_XX.UTF-8", **OLD},
    "Turkish": {"LC_ALL": "tr_TR.UTF-8"},
    "Turkish of old": {"LC_ALL": "tr_TR.ISO-8859-9", **OLD},
    "German of old": {"LC_ALL": "de_DE.ISO-8859-1", **OLD},
}

JOURNEY = """
import json, os, sys, warnings
from stepdown.cli import main
# Whoever opens a file without saying its encoding opens another one elsewhere.
warnings.filterwarnings("error", category=EncodingWarning, module="stepdown")
codes = []
for line in json.load(sys.stdin):
    codes.append(main([os.fsdecode(word.encode()) for word in line]))
    sys.stdout.flush()
print(sys.getfilesystemencoding(), *codes, file=sys.stderr, flush=True)
sys.stderr.flush()
"""

COMMANDS = [
    ["init", "aufgäbe"],
    ["policy", "set", "min_score=0.5", "--why", "weil façon İı", "--by", "zoë"],
    ["judge", "run-1/1/0/1", "0.5", "--why", "日本 😀"],
    ["import", "log.jsonl", "--why", "ſchön"],
    ["run", "--generations", "1", "--candidates", "2"],
    ["ask", "3"],
    ["export"],
    *(["report"], ["report", "run-1"], ["report", "run-1", "--json"], ["audit"], ["audit", "--json"], ["history"]),
    *(["history", "--json"], ["route", "--explain"], ["bundles", "list"], ["bundles", "list", "--json"], ["scan"]),
    *(["policy", "show"], ["harness", "show"], ["base", "list"], ["doctor"], ["doctor", "--json"], ["--help"]),
    *(["report", "nosuch-é"], ["run", "--scenario", "İ"], ["bundles", "show", "ııııııı"], ["train", "ÿ" * 7]),
]


@pytest.fixture(scope="module")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of locales that this system need not have installed."""
    place = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef"):
        for name in ("tr_TR.UTF-8", "tr_TR.ISO-8859-9", "de_DE.ISO-8859-1"):
            language, _, encoding = name.partition(".")
            command = ["localedef", "-c", "-i", language, "-f", encoding, str(place / name)]
            subprocess.run(command, check=False, capture_output=True, timeout=60)
    return place


def there(name: str, place: Path) -> bool:
    """Tell whether a locale can be had."""
    language = LOCALES[name]["LC_ALL"]
    before = locale.setlocale(locale.LC_ALL)
    try:
        return "." not in language or language.startswith("xx") or bool(locale.setlocale(locale.LC_ALL, language))
    except locale.Error:
        return (place / language).exists()
    finally:
        locale.setlocale(locale.LC_ALL, before)


@pytest.mark.parametrize("name", part(list(LOCALES), of=3))
def test_every_command_speaks_in_every_locale_and_every_file_is_utf_8(
    name: str, handed_down: Path, tmp_path: Path, locales: Path
) -> None:
    if not there(name, locales):
        pytest.skip("This system has no such locale, and nothing that makes it.")
    root = shutil.copytree(handed_down, tmp_path / "workspace")
    question = '{"enemy_spawn_bias": 0.5, "resource_density": 0.25}'
    answer = '{"aggression": 0.6, "defense": 0.4, "path_bias": 0.5}'
    line = {"prompt": question, "completion": answer, "model": "größe"}
    (tmp_path / "log.jsonl").write_text(json.dumps(line, ensure_ascii=False) + "\n", "utf-8")
    commands = [[*words, *([] if words[0] in ("init", "--help") else ["-w", str(root)])] for words in COMMANDS]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}

    said = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", JOURNEY],
        input=json.dumps(commands).encode(),
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": SOURCE, "LOCPATH": str(locales), **LOCALES[name]},
        timeout=120,
    )

    out, err = said.stdout.decode("utf-8", "replace"), said.stderr.decode("utf-8", "replace")
    assert "Traceback" not in out + err, err
    encoding, *codes = err.splitlines()[-1].split()
    assert len(codes) == len(COMMANDS), err
    for words, code in zip(COMMANDS, codes, strict=True):
        if words[-1] in ("nosuch-é", "İ", "ııııııı", "ÿ" * 7):
            assert int(code) in (2, 3), (words, err)
        elif encoding == "ascii" and not "".join(words[1:]).isascii() and words[0] != "init":
            assert int(code) == 2, (words, err)
        elif words[0] != "doctor":
            assert int(code) == 0, (words, out, err)
    assert encoding != "ascii" or "set one of UTF-8" in err
    for path in [*root.rglob("*.json*"), *root.rglob("*.md"), *tmp_path.glob("auf*/*")]:
        path.read_text("utf-8")
    answered(0, out, "")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1254", "utf-16"])
def test_json_is_json_on_every_stream(tmp_path: Path, encoding: str) -> None:
    value = {"said": 'é İ 日本 😀 \ud800 "\\'}
    with (tmp_path / "out").open("w", encoding=encoding, errors="backslashreplace") as stream:
        stream.write(as_text(value, stream))

    assert json.loads((tmp_path / "out").read_text(encoding)) == value
