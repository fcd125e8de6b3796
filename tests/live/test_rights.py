"""A server without rights: programs that hide their memory from it, or that are given rights by their files."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live.session import PLAIN, STATIC, WITH_EVENTS, Session, child_of, exited, pc_of, thread_of
from tests.support.containers import PLAIN_USER, as_user, interpreter
from tests.support.programs import compile_program
from tests.support.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from debugserver.rsp.stop_reply import StopReply

RIGHTS = compile_program("rights", *STATIC)
ANY_EVENTS = pytest.mark.parametrize("offered", [PLAIN, WITH_EVENTS], ids=["silent", "reported"])


@pytest.fixture
def place() -> Iterator[Callable[[str, int], Path]]:
    """Put the program where everybody finds it, under a name and with these permissions."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)

        def put(file: str, mode: int) -> Path:
            copy = Path(directory) / file
            shutil.copy(RIGHTS, copy)
            copy.chmod(mode)
            return copy

        yield put


@contextmanager
def debugged(program: Path, *arguments: str | Path, offered: str = PLAIN) -> Iterator[Session]:
    """A plain user's session, at the start of the program."""
    command = [*as_user(PLAIN_USER), interpreter(PLAIN_USER), "-m", "debugserver"]
    with Server(command, "localhost:0", program, *arguments) as server, Session(server, RIGHTS, offered) as session:
        yield session


def run_on(session: Session) -> StopReply:
    """As GDB does with detach-on-fork, past births and execs."""
    while (stop := session.run()).kind == "T":
        assert "swbreak" not in stop.pairs
        if child := child_of(stop):
            session.remove("called")
            session.expect_ok(f"D;{child[0]:x}")
    return stop


@ANY_EVENTS
def test_becoming_a_program_that_cannot_be_read(place: Callable[[str, int], Path], offered: str) -> None:
    unreadable = place("unreadable", 0o111)
    with debugged(place("program", 0o755), "execute", unreadable, offered=offered) as session:
        exited(run_on(session), 4)


def test_a_program_that_cannot_be_read(place: Callable[[str, int], Path]) -> None:
    """Its memory is hidden; its registers are not, and it can be stepped and run."""
    with debugged(place("program", 0o111)) as session:
        stop = session.step((session.pid, session.pid))
        assert session.ask(f"m{pc_of(stop):x},1")[:1] == "E"
        assert session.ask(f"Z0,{pc_of(stop):x},1")[:1] == "E"
        assert pc_of(session.step(thread_of(stop))) != pc_of(stop)
        exited(session.go(), 4)


@ANY_EVENTS
def test_children_of_a_process_that_hides(place: Callable[[str, int], Path], offered: str) -> None:
    with debugged(place("program", 0o755), "hide", offered=offered) as session:
        session.insert("called")
        session.step_off(session.go(), "called")
        exited(run_on(session), 1 + 2)


def test_a_child_is_given_the_rights_of_its_file(place: Callable[[str, int], Path]) -> None:
    """Not as long as somebody traces it: a vfork child is let go at once, when GDB has taken its breakpoints out."""
    if os.getuid() != 0:
        pytest.skip("only root has rights to give")
    privileged = place("privileged", 0o4755)
    if os.statvfs(privileged).f_flag & os.ST_NOSUID:
        pytest.skip("files give no rights there")
    with debugged(place("program", 0o755), "spawn", privileged, offered=WITH_EVENTS) as session:
        session.insert("called")
        session.step_off(session.go(), "called")
        exited(run_on(session), 5)
