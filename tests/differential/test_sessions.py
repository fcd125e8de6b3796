"""Starting, attaching, starting again, and files: sessions under --multi."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.differential import PROGRAM, Side, ids, kind, stop, whole, xml
from tests.support.processes import status, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Both = Callable[..., None]

MULTI = ("--multi", "localhost:0")


def hexed(*words: str | Path) -> bytes:
    return b";".join(str(word).encode().hex().encode() for word in words)


def run(side: Side, *command: str | Path) -> object:
    return stop(side, side.ask(b"vRun;" + hexed(*command)))


@contextmanager
def sleeping_program() -> Iterator[int]:
    """The pid of a program with three threads that spins for ever, that no debugger has seen."""
    process = subprocess.Popen(["sleep", "60"])
    try:
        wait_until(lambda: status(process.pid, "State").startswith("S"), "it sleeps")
        yield process.pid
    finally:
        process.kill()
        process.wait(10)


def test_without_a_process(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield side.first_stop
        yield side.ask(b"!")
        for packet in (
            b"qC",
            b"qfThreadInfo",
            b"g",
            b"m0,1",
            b"c",
            b"D",
            b"qAttached:1",
            b"vKill;1",
        ):
            yield (packet, whole(side, side.ask(packet)))

    both(scenario, *MULTI)


def test_run_kill_and_run_again(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield side.ask(b"!")
        yield run(side, PROGRAM)
        yield side.ask(b"qAttached")
        yield ids(side, side.ask(b"qfThreadInfo"))
        yield side.ask(side.named(b"vKill;{pid}"))
        yield side.ask(b"?")
        yield run(side, PROGRAM, "die")
        yield stop(side, side.run_to("spin"))
        yield stop(side, side.ask(b"vCont;c"))
        yield side.ask(b"?")
        yield run(side, PROGRAM)
        yield side.ask(side.named(b"D;{pid}"))

    both(scenario, *MULTI)


def test_k_and_r_leave_an_extended_server_alive(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield side.ask(b"!")
        pid = side.pid
        side.client.send(b"R00")
        yield side.wait_gone(pid)
        yield stop(side, side.ask(b"?"))
        yield side.pid != pid
        pid = side.pid
        side.client.send(b"k")
        yield side.wait_gone(pid)
        yield side.ask(b"?")
        yield stop(side, side.ask(b"vRun;"))

    both(scenario)


@pytest.mark.parametrize("program", ["/nope", "/", "/proc/version"])
def test_programs_that_cannot_be_run(both: Both, program: str) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield side.ask(b"!")
        yield whole(side, side.ask(b"vRun;" + hexed(program)))

    both(scenario, *MULTI)


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ([b"QEnvironmentHexEncoded:" + hexed("DIFFERENTIAL=a b")], ["/bin/sh", "-c", "echo $DIFFERENTIAL"]),
        ([b"QEnvironmentHexEncoded:" + hexed("A=b"), b"QEnvironmentReset"], ["/bin/sh", "-c", "echo $A."]),
        ([b"QEnvironmentUnset:" + hexed("HOME")], ["/bin/sh", "-c", "echo $HOME."]),
        ([b"QSetWorkingDir:" + hexed("/proc")], ["/bin/pwd"]),
        ([b"QStartupWithShell:1"], ["/bin/echo", "a  b", "$HOME", "", "'"]),
        ([b"QStartupWithShell:0"], ["/bin/echo", "a  b", "$HOME", "", "'"]),
        ([b"QDisableRandomization:1"], ["/bin/cat", "/proc/self/personality"]),
        ([b"QDisableRandomization:0"], ["/bin/cat", "/proc/self/personality"]),
        ([], ["/usr/bin/env"]),
    ],
)
def test_what_programs_are_started_with(both: Both, settings: list[bytes], command: list[str]) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield [side.ask(packet) for packet in settings]
        yield run(side, *command)[0]  # type: ignore[index]
        yield stop(side, side.ask(b"vCont;c"))
        text = side.output.wait_for(r"(?s).*\n")[0]
        yield [line for line in text.splitlines() if not line.startswith("DEBUGSERVER_TEST=")]

    both(scenario, *MULTI)


def test_attach_and_detach(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        with sleeping_program() as pid:
            yield side.ask(b"!")
            reply = side.ask(b"vAttach;%x" % pid)
            yield reply[:3]
            yield side.ask(b"qAttached:%x" % pid)
            yield ids(side, side.ask(b"qfThreadInfo"))
            yield side.ask(b"Z0,%x,1" % 0)[:1]
            yield side.ask(b"D;%x" % pid)
            wait_until(lambda: status(pid, "State").startswith("S"), "it sleeps again")
            yield status(pid, "TracerPid")

    both(scenario, *MULTI)


def test_attach_twice(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        with sleeping_program() as pid:
            yield side.ask(b"vAttach;%x" % pid)[:3]
            yield kind(side, side.ask(b"vAttach;%x" % pid))
            yield side.ask(b"vKill;%x" % pid)

    both(scenario, *MULTI)


def test_attach_from_the_command_line(both: Both) -> None:
    with sleeping_program() as pid:

        def scenario(side: Side) -> Iterator[object]:
            yield side.first_stop[:3]
            yield side.ask(b"qAttached")
            yield whole(side, side.ask(b"qXfer:exec-file:read::0,100"))
            yield side.ask(b"D;%x" % pid)

        both(scenario, "--attach", "localhost:0", str(pid))


def test_files(both: Both, tmp_path: Path) -> None:
    path = tmp_path / "file"

    def scenario(side: Side) -> Iterator[object]:
        opened = side.ask(b"vFile:open:" + hexed(path) + b",602,1a4")
        yield opened[:1]
        descriptor = opened[1:]
        yield side.ask(b"vFile:pwrite:%b,0,#hello}*$" % descriptor)
        yield side.ask(b"vFile:pwrite:%b,10,x" % descriptor)
        yield side.ask(b"vFile:pread:%b,100,0" % descriptor)
        yield side.ask(b"vFile:pread:%b,3,5" % descriptor)
        yield side.ask(b"vFile:pread:%b,3,100" % descriptor)
        yield side.ask(b"vFile:pread:%b,3,-1" % descriptor)
        yield side.ask(b"vFile:close:%b" % descriptor)
        yield (path.read_bytes(), oct(path.stat().st_mode))
        yield side.ask(b"vFile:unlink:" + hexed(path))
        yield path.exists()

    both(scenario, *MULTI)


@pytest.mark.parametrize("how", [b"stat", b"lstat", b"fstat"])
@pytest.mark.parametrize("name", ["file", "link", "directory"])
def test_file_status(both: Both, tmp_path: Path, how: bytes, name: str) -> None:
    (tmp_path / "file").write_bytes(b"twelve bytes")
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "file").chmod(0o640)

    def scenario(side: Side) -> Iterator[object]:
        what = hexed(tmp_path / name)
        if how == b"fstat":
            what = side.ask(b"vFile:open:" + what + b",0,0")[1:]
        yield side.ask(b"vFile:" + how + b":" + what)

    both(scenario, *MULTI)


@pytest.mark.parametrize(
    ("flags", "exists"),
    [(b"0", True), (b"1", True), (b"2", True), (b"a01", True), (b"201", False), (b"c01", True), (b"9", True)],
)
def test_open_flags(both: Both, tmp_path: Path, flags: bytes, exists: bool) -> None:
    def scenario(side: Side) -> Iterator[object]:
        path = tmp_path / side.name
        path.unlink(missing_ok=True)
        if exists:
            path.write_bytes(b"old")
        opened = side.ask(b"vFile:open:" + hexed(path) + b"," + flags + b",180")
        yield opened if opened[1:2] == b"-" else opened[:1]
        yield side.ask(b"vFile:pwrite:%b,0,new stuff" % opened[1:])
        yield side.ask(b"vFile:pread:%b,10,0" % opened[1:])
        yield path.exists() and path.read_bytes()

    both(scenario, *MULTI)


def test_links(both: Both, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("to/some where")

    def scenario(side: Side) -> Iterator[object]:
        yield side.ask(b"vFile:readlink:" + hexed(tmp_path / "link"))

    both(scenario, *MULTI)


def test_libraries(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("stop_here")
        yield xml(side, side.ask(b"qXfer:libraries-svr4:read::0,4000"))

    both(scenario)


REASONS = {
    "ConditionalTracepoints": "no tracepoints",
    "TraceStateVariables": "no tracepoints",
    "TracepointSource": "no tracepoints",
    "DisconnectedTracing": "no tracepoints",
    "FastTracepoints": "no tracepoints",
    "InstallInTrace": "no tracepoints",
    "EnableDisableTracepoints": "no tracepoints",
    "QTBuffer:size": "no tracepoints",
    "tracenz": "no tracepoints",
    "qXfer:traceframe-info:read": "no tracepoints",
    "QAgent": "no agent in the program",
    "Qbtrace:bts": "no branch tracing",
    "Qbtrace-conf:bts:size": "no branch tracing",
    "Qbtrace:pt": "no branch tracing",
    "Qbtrace-conf:pt:size": "no branch tracing",
    "Qbtrace-conf:pt:ptwrite": "no branch tracing",
    "Qbtrace-conf:pt:event-tracing": "no branch tracing",
    "Qbtrace:off": "no branch tracing",
    "qXfer:btrace:read": "no branch tracing",
    "qXfer:btrace-conf:read": "no branch tracing",
}
"""What GNU gdbserver offers and we do not, and why."""

NOT_COMPARED = {
    "PacketSize",  # ours to choose
    "single-inf-arg",  # GNU gdbserver says so only to clients that say it first
}


def test_features(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield {k: v for k, v in side.features.items() if k not in NOT_COMPARED | REASONS.keys()}
        yield side.name == "gnu" or not REASONS.keys() & side.features.keys()

    both(scenario, *MULTI)
