"""One target of every kind, each put into the same position. Add yours to KINDS."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from debugserver.target.capabilities import Attach, Launch
from debugserver.target.model import LaunchSettings, ThreadId
from debugserver.target.simple import THREAD
from debugserver.testing.fake_target import FakeTarget
from tests.support.processes import is_gone, wait_until
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from debugserver.target.target import Target

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


class Subject(NamedTuple):
    """A target with one process whose only thread stands still, and comes to `place` again and again when it runs."""

    target: Target
    thread: ThreadId
    place: int
    data: int
    """Where 16 bytes may be read and written."""
    nowhere: int
    """Where there is no memory."""


@contextmanager
def fake() -> Iterator[Subject]:
    target = FakeTarget()
    target.memory[0x100] = bytearray(range(64))
    thread = target.add_process(1)
    target.set_pc(thread, 0x100)
    yield Subject(target, thread, place=0x108, data=0x120, nowhere=0x10)


@contextmanager
def tiny_vm() -> Iterator[Subject]:
    example = runpy.run_path(str(EXAMPLES / "tiny_vm.py"))
    target = example["TinyVm"](example["PROGRAM"])
    yield Subject(target, THREAD, place=example["FUNCTION"], data=0x3000, nowhere=example["MEMORY_SIZE"])


def _program() -> tuple[Path, dict[str, int]]:
    """A program linked to a fixed address, and the addresses of its symbols."""
    program = compile_program("contract", "-no-pie")
    listing = subprocess.run(["nm", "--defined-only", program], capture_output=True, text=True, check=True, timeout=10)
    return program, {name: int(address, 16) for address, _, name in map(str.split, listing.stdout.splitlines())}


@contextmanager
def linux() -> Iterator[Subject]:
    """A process that was started."""
    from debugserver.linux.target import LinuxTarget

    program, symbols = _program()
    settings = LaunchSettings()
    settings.program = str(program)
    settings.environment = dict(os.environ)
    target = LinuxTarget(settings)
    try:
        launcher = target.capability(Launch)
        assert launcher is not None
        thread = launcher.launch(settings)
        try:
            yield Subject(target, thread, symbols["again"], symbols["data"], nowhere=0x10)
        finally:
            if not is_gone(thread.pid):
                os.kill(thread.pid, signal.SIGKILL)
    finally:
        target.close()
    wait_until(lambda: is_gone(thread.pid), "the program ends")


@contextmanager
def linux_attached() -> Iterator[Subject]:
    """A process that ran before."""
    from debugserver.linux.target import LinuxTarget

    program, symbols = _program()
    target = LinuxTarget(LaunchSettings())
    process = subprocess.Popen([program])
    try:
        attacher = target.capability(Attach)
        assert attacher is not None
        thread = attacher.attach(process.pid)
        yield Subject(target, thread, symbols["again"], symbols["data"], nowhere=0x10)
    finally:
        target.close()
        process.kill()
        process.wait(10)


KINDS: dict[str, Callable[[], AbstractContextManager[Subject]]] = {
    "fake": fake,
    "tiny_vm": tiny_vm,
    "linux": linux,
    "linux_attached": linux_attached,
}
