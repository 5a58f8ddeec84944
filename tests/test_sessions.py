"""A claim lives as long as its process, however that ends."""

import subprocess
import sys
from pathlib import Path

from stepdown.workspace.sessions import Session, alive, forget

HOLDER = """
import sys
from pathlib import Path
from stepdown.workspace.sessions import Session
print(Session(Path(sys.argv[1])).begin(), flush=True)
sys.stdin.read()
"""


def test_a_session_is_alive_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    session = Session(tmp_path)
    assert not alive(tmp_path, session.id)

    session.begin()
    assert alive(tmp_path, session.id)
    assert session.begin() == session.id

    session.end()
    assert not alive(tmp_path, session.id)
    assert list(tmp_path.iterdir()) == []


def test_a_session_can_be_ended_twice_and_begun_again(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.end()
    session.begin()
    session.end()
    session.end()
    assert alive(tmp_path, session.begin())
    session.end()


def test_a_killed_process_is_dead_at_once_and_can_be_forgotten(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        session = child.stdout.readline().strip()
        assert alive(tmp_path, session)
        child.kill()
        child.wait()
        assert not alive(tmp_path, session)

    assert [path.name for path in tmp_path.iterdir()] == [f"{session}.lock"]
    forget(tmp_path, session)
    forget(tmp_path, session)
    assert list(tmp_path.iterdir()) == []


def test_two_sessions_never_share_an_id(tmp_path: Path) -> None:
    assert len({Session(tmp_path).id for _ in range(1000)}) == 1000


def test_asking_leaves_the_lock_where_it_was(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.begin()
    for _ in range(3):
        assert alive(tmp_path, session.id)
    session.end()
