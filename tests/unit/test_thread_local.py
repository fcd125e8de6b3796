"""Addresses of thread-local variables, against those that the program itself sees."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from debugserver.errors import TargetError
from debugserver.linux.dynamic_symbols import gnu_hash
from debugserver.linux.libraries import Svr4Libraries
from debugserver.linux.thread_local import LinuxThreadLocalStorage
from debugserver.target.model import ThreadId
from tests.support.programs import SOURCES, compile_library, compile_program
from tests.unit.waiting_process import WaitingProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Variable(NamedTuple):
    name: str
    tid: int
    link_map: int
    address: int


def variables(process: WaitingProcess) -> list[Variable]:
    found = []
    for kind, name, *numbers in process.said:
        if kind == "variable":
            tid = int(numbers[0])
            pointer, link_map, address = (0 if text in ("(nil)", "0") else int(text, 16) for text in numbers[1:])
            process.thread_pointers[tid] = pointer
            found.append(Variable(name, tid, link_map, address))
    return found


def storage(process: WaitingProcess) -> LinuxThreadLocalStorage:
    return LinuxThreadLocalStorage(process, process, process, process, Svr4Libraries(process, process, process))


def offset_of(file: str | Path, symbol: str) -> int:
    """The symbol's place in the file's thread-local segment."""
    for flags in (["-D"], []):
        listing = subprocess.run(["nm", *flags, file], capture_output=True, text=True, check=True, timeout=10).stdout
        for words in map(str.split, listing.splitlines()):
            if words[-1].split("@")[0] == symbol:
                return int(words[0], 16)
    raise AssertionError(f"{file} has no {symbol}")


@pytest.fixture(scope="module")
def process() -> Iterator[WaitingProcess]:
    with WaitingProcess(compile_program("namespaces", "-ldl"), compile_library("late_library")) as waiting:
        yield waiting


def mapped(process: WaitingProcess, name: str) -> str:
    with open(f"/proc/{process.pid}/maps") as maps:
        return next(line.split()[-1] for line in maps if name in line)


@pytest.mark.parametrize(
    ("name", "symbol", "count"), [("own", "own_number", 2), ("errno", "errno", 2), ("late", "late_number", 1)]
)
def test_each_thread_has_its_own(process: WaitingProcess, name: str, symbol: str, count: int) -> None:
    files: dict[str, str | Path] = {
        "own": compile_program("namespaces", "-ldl"),
        "errno": mapped(process, "libc.so.6"),
        "late": compile_library("late_library"),
    }
    offset = offset_of(files[name], symbol)
    wanted = [variable for variable in variables(process) if variable.name == name]
    assert len(wanted) == count
    for variable in wanted:
        thread = ThreadId(process.pid, variable.tid)
        assert storage(process).thread_local_address(thread, offset, variable.link_map) == variable.address


def test_the_program_by_its_own_link_map(process: WaitingProcess) -> None:
    variable = variables(process)[0]
    main = Svr4Libraries(process, process, process).libraries(process.pid).main_link_map
    thread = ThreadId(process.pid, variable.tid)
    own = next(each for each in variables(process) if each.name == "own" and each.tid == variable.tid)
    offset = offset_of(compile_program("namespaces", "-ldl"), "own_number")
    assert storage(process).thread_local_address(thread, offset, main) == own.address


@pytest.mark.parametrize("name", ["late-unused", "second-unused"], ids=["vector up to date", "vector from before"])
def test_a_block_that_a_thread_has_not_used(process: WaitingProcess, name: str) -> None:
    unused = next(each for each in variables(process) if each.name == name)
    with pytest.raises(TargetError, match="not used"):
        storage(process).thread_local_address(ThreadId(process.pid, unused.tid), 0, unused.link_map)


def test_libraries_without_thread_local_variables(process: WaitingProcess) -> None:
    leader = variables(process)[0].tid
    libraries = Svr4Libraries(process, process, process).libraries(process.pid).libraries
    without = next(each for each in libraries if "linux-vdso" in each.name or "linux-gate" in each.name)
    with pytest.raises(TargetError, match="no thread-local variables"):
        storage(process).thread_local_address(ThreadId(process.pid, leader), 0, without.link_map)


def test_a_link_map_that_is_none(process: WaitingProcess) -> None:
    leader = variables(process)[0].tid
    with pytest.raises(TargetError):
        storage(process).thread_local_address(ThreadId(process.pid, leader), 0, 0xDEAD0000)


def test_a_statically_linked_program() -> None:
    program = compile_program("thread_locals", "-static")
    with WaitingProcess(program) as process:
        (own,) = variables(process)
        offset = offset_of(program, "own_number")
        assert storage(process).thread_local_address(ThreadId(process.pid, own.tid), offset, 0) == own.address


@pytest.mark.parametrize("flags", [[], ["-static"], ["-static-pie"]], ids=["dynamic", "static", "static-pie"])
def test_a_program_that_has_only_been_started(flags: list[str]) -> None:
    """Before the C library has set the thread pointer, it is 0."""
    with WaitingProcess(compile_program("thread_locals", *flags)) as process:
        process.thread_pointers[process.pid] = 0
        with pytest.raises(TargetError, match="not set up"):
            storage(process).thread_local_address(ThreadId(process.pid, process.pid), 0, 0)


def test_a_program_without_any() -> None:
    with WaitingProcess(compile_program("waits")) as process:
        process.thread_pointers[process.pid] = 0x1000
        with pytest.raises(TargetError, match="the program has no thread-local variables"):
            storage(process).thread_local_address(ThreadId(process.pid, process.pid), 0, 0)


@pytest.mark.skipif(shutil.which("musl-gcc") is None, reason="musl-tools is not installed")
def test_musl(tmp_path: Path) -> None:
    program, library = tmp_path / "program", tmp_path / "late.so"
    for command in (
        ["-g", SOURCES / "namespaces.c", "-o", program],
        ["-g", "-shared", "-fPIC", SOURCES / "late_library.c", "-o", library],
    ):
        subprocess.run(["musl-gcc", *map(str, command)], check=True, timeout=60)
    with WaitingProcess(program, library) as process:
        found = [each for each in variables(process) if each.name in ("own", "late")]
        assert len(found) == 3
        for variable in found:
            file, symbol = (program, "own_number") if variable.name == "own" else (library, "late_number")
            thread = ThreadId(process.pid, variable.tid)
            offset = offset_of(file, symbol)
            assert storage(process).thread_local_address(thread, offset, variable.link_map) == variable.address


@pytest.mark.parametrize(("name", "value"), [("", 0x1505), ("printf", 0x156B2BB8), ("exit", 0x7C967E3F)])
def test_hash(name: str, value: int) -> None:
    """Published test values of the GNU hash function."""
    assert gnu_hash(name) == value
