"""qSaveCore, as LLVM's "LLDB Remote Protocol" has it."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from debugserver.errors import TargetError
from debugserver.target.capabilities import CoreFiles
from debugserver.testing.fake_target import FakeTarget
from tests.support.packets import ask, connect, transcript

if TYPE_CHECKING:
    from debugserver.target.model import ThreadId

LLDB = b"xmlRegisters=i386;multiprocess+"


class Cores(CoreFiles):
    def __init__(self) -> None:
        self.written: list[tuple[ThreadId, str]] = []
        self.forgotten = False

    def write_core(self, thread: ThreadId, path: str) -> Generator[None, None, str]:
        yield None
        if path == "/full":
            raise TargetError("no space")
        self.written.append((thread, path))
        return path or "/tmp/core.x"

    def forget_cores(self) -> None:
        self.forgotten = True


class CoreTarget(FakeTarget):
    def __init__(self) -> None:
        super().__init__()
        self.core_files = Cores()

    def capability(self, kind: type) -> object | None:  # type: ignore[override]
        return self.core_files if kind is CoreFiles else super().capability(kind)


@pytest.fixture
def target() -> CoreTarget:
    return CoreTarget()


def test_saving_a_core(target: CoreTarget) -> None:
    stub = connect(target, LLDB)
    assert ask(stub, b"qSaveCore") == b"E01"
    thread = target.add_process(0x10)
    transcript(
        stub,
        [
            (b"qSaveCore", b"core-path:" + b"/tmp/core.x".hex().encode() + b";"),
            (b"qSaveCore;path-hint:" + b"/c".hex().encode(), b"core-path:" + b"/c".hex().encode() + b";"),
            (b"qSaveCore;path-hint:" + b"/full".hex().encode(), b"E01"),
            (b"qSaveCore;path-hint:zz", b"E22"),
            (b"qSaveCore;colour:red", b"E22"),
        ],
    )
    assert target.core_files.written == [(thread, ""), (thread, "/c")]
    stub.close()
    assert target.core_files.forgotten


def test_it_is_offered_to_lldb_only(target: CoreTarget) -> None:
    target.add_process(0x10)
    lldb, gdb = connect(target, LLDB), connect(target)
    assert b"qSaveCore+" in (ask(lldb, b"qSupported:" + LLDB) or b"")
    assert ask(gdb, b"qSaveCore") == b""
