"""Stepping, stopping, signals and the end of the program: the same steps, the same stop replies."""

from __future__ import annotations

import os
import signal
import struct
from typing import TYPE_CHECKING

import pytest

from tests.support.differential import OFFERED, PROGRAM, SYMBOL, Side, stop, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Both = Callable[..., None]

RIP, EFLAGS = 16 * 8, 17 * 8
"""Offsets in the register file of i386:x86-64."""

PRESERVED = (0, 1, 6, 7, 12, 13, 14, 15, 16)
"""rax, which a test sets, and the registers that do not depend on which thread came first: rbx rbp rsp r12-r15 rip."""


def resume(side: Side, packet: bytes) -> object:
    return stop(side, side.ask(side.named(packet)))


def preserved(side: Side) -> list[str]:
    file = side.ask(b"g").decode()
    return [file[16 * number : 16 * number + 16] for number in PRESERVED]


def pc(side: Side) -> int:
    return int.from_bytes(bytes.fromhex(side.ask(b"g").decode())[RIP : RIP + 8], "little")


def test_the_start(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield stop(side, side.first_stop)
        yield len(side.threads())
        yield side.ask(b"g")[: 2 * EFLAGS]
        yield whole(side, side.ask(b"qXfer:libraries-svr4:read::0,1000")).partition("<library ")[1]  # type: ignore[attr-defined]

    both(scenario)


@pytest.mark.parametrize("step", [b"s", b"vCont;s:p{pid}.{tid0}", b"vCont;s:p{pid}.{tid0};c", b"S00"])
def test_steps(both: Both, step: bytes) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield stop(side, side.run_to("touch"))
        side.ask(side.named(b"Hcp{pid}.{tid0}"))
        for _ in range(6):
            yield resume(side, step)

    both(scenario)


def test_range_step(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("touch")
        start = SYMBOL["touch"]
        yield resume(side, b"vCont;r%x,%x:p{pid}.{tid0}" % (start, start + 15))
        yield resume(side, b"vCont;r%x,%x:p{pid}.{tid0};c" % (start, start + 0x200))
        yield pc(side) < start or pc(side) >= start + 0x10

    both(scenario)


def test_breakpoints_that_stay_are_stepped_over(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        for name in (b"stop_here", b"touch", b"signals"):
            yield side.ask(side.named(b"Z0,{" + name + b"},1"))
        for _ in range(3):
            yield resume(side, b"vCont;c")
            yield resume(side, b"vCont;s:p{pid}.{tid0};c")

    both(scenario)


@pytest.mark.parametrize("point", [b"2,{watched},4", b"1,{touch},1", b"2,{watched},10"])
def test_hardware_points(both: Both, point: bytes) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("stop_here")
        yield side.ask(side.named(b"Z" + point))
        yield resume(side, b"vCont;c")
        yield resume(side, b"vCont;s:p{pid}.{tid0}")
        yield side.ask(side.named(b"z" + point))
        yield stop(side, side.run_to("signals"))

    both(scenario)


def test_access_watchpoints(both: Both) -> None:
    """GNU gdbserver says `watch` whatever the kind, we `awatch` as in the manual; GDB takes both."""

    def scenario(side: Side) -> Iterator[object]:
        side.run_to("stop_here")
        yield side.ask(side.named(b"Z4,{watched},4"))
        yield stop(side, side.ask(b"vCont;c").replace(b"awatch", b"watch"))
        yield stop(side, side.ask(b"vCont;c").replace(b"awatch", b"watch"))

    both(scenario)


def test_more_watchpoints_than_debug_registers(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("stop_here")
        for offset in range(0, 5 * 8, 8):
            yield whole(side, side.ask(b"Z2,%x,4" % (SYMBOL["haystack"] + offset)))

    both(scenario)


def test_signals_are_reported_and_delivered(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("signals")
        yield resume(side, b"vCont;c")
        yield side.ask(b"qXfer:siginfo:read::0,c")
        yield resume(side, b"vCont;C1e")
        yield side.ask(side.named(b"m{handled},4"))
        yield resume(side, b"C1f")
        yield side.log.wait_for("Child exited with status 3")[0]

    both(scenario)


def test_signals_are_dropped(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("signals")
        yield resume(side, b"vCont;c")
        yield resume(side, b"c")
        yield side.ask(side.named(b"m{handled},4"))
        yield resume(side, b"c")

    both(scenario)


def test_a_step_into_a_signal_handler(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("signals")
        yield resume(side, b"vCont;c")
        yield resume(side, b"vCont;S1e:p{pid}.{tid0}")
        yield pc(side) == SYMBOL["handler"]
        yield resume(side, b"vCont;s:p{pid}.{tid0}")

    both(scenario)


def test_siginfo_is_written(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("signals")
        yield resume(side, b"vCont;c")
        yield whole(side, side.ask(b"qXfer:siginfo:write::0:" + struct.pack("<iii", 10, 0, -6)))
        yield side.ask(b"qXfer:siginfo:read::0,c")
        yield whole(side, side.ask(b"qXfer:siginfo:write::1000:a"))
        yield resume(side, b"vCont;C1e")
        yield side.ask(side.named(b"m{handled},4"))

    both(scenario)


def test_registers_are_written(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("stop_here")
        before = bytes.fromhex(side.ask(b"g").decode())
        before = b"\0" * 8 + before[8:]
        changed = bytearray(before)
        changed[:8] = b"\x11" * 8
        changed[RIP : RIP + 8] = SYMBOL["touch"].to_bytes(8, "little")
        yield side.ask(b"G" + changed.hex().encode())
        yield bytes.fromhex(side.ask(b"g").decode()) == changed
        yield preserved(side)
        yield resume(side, b"s")
        yield side.ask(b"G" + before.hex().encode())
        yield preserved(side)

    both(scenario)


def test_memory_is_written_where_the_program_runs(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("stop_here")
        yield side.ask(side.named(b"Z0,{touch},1"))
        yield side.ask(side.named(b"M{touch},1:c3"))
        yield side.ask(side.named(b"m{touch},4"))
        yield resume(side, b"vCont;c")
        yield side.ask(side.named(b"z0,{touch},1"))
        yield side.ask(side.named(b"m{touch},4"))
        yield stop(side, side.run_to("signals"))
        yield side.ask(side.named(b"m{watched},8"))

    both(scenario)


def test_interrupt(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("spin")
        side.ask(side.named(b"M{endless},4:01000000"))
        side.client.send(b"vCont;c")
        side.client.interrupt()
        reply = side.client.receive()
        yield reply[:3]
        yield b"thread:p" in reply
        yield len(side.threads())
        side.ask(side.named(b"M{endless},4:00000000"))
        yield resume(side, b"vCont;c")

    both(scenario)


@pytest.mark.parametrize("argument", ["", "crash", "die"])
def test_the_end(both: Both, argument: str) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("spin")
        yield resume(side, b"vCont;c")
        if argument == "crash":
            yield side.ask(b"qXfer:siginfo:read::0,18")
            yield resume(side, b"vCont;C0b")
        yield side.log.wait_for("Child (exited|terminated).*")[0]

    both(scenario, "localhost:0", PROGRAM, *filter(None, [argument]))


def test_the_end_while_stepped(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("spin")
        reply = b"T"
        while reply[:1] == b"T":
            reply = side.ask(side.named(b"vCont;s:p{pid}.{tid0};c"))
        yield stop(side, reply)

    both(scenario)


@pytest.mark.parametrize("packet", [b"vCont;c", b"c", b"s"])
def test_death_from_outside(both: Both, packet: bytes) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("stop_here")
        os.kill(side.pid, signal.SIGKILL)
        side.wait_gone(side.pid)
        yield resume(side, packet)

    both(scenario)


@pytest.mark.parametrize(
    ("packet", "offered"), [(b"D", "vContSupported+"), (b"D;{pid}", OFFERED), (b"vKill;{pid}", OFFERED)]
)
def test_letting_go_of_the_dead(both: Both, packet: bytes, offered: str) -> None:
    """They are the client's until it has been told of their end."""

    def scenario(side: Side) -> Iterator[object]:
        side.run_to("stop_here")
        named = side.named(packet)
        os.kill(side.pid, signal.SIGKILL)
        side.wait_gone(side.pid)
        yield side.ask(named)

    both(scenario, offered=offered)


@pytest.mark.parametrize(("packet", "offered"), [(b"D", "vContSupported+"), (b"D;{pid}", OFFERED)])
def test_detach(both: Both, packet: bytes, offered: str) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("stop_here")
        pid = side.pid
        side.ask(side.named(b"Z0,{touch},1"))
        yield side.ask(side.named(packet))
        yield side.wait_gone(pid)
        yield side.log.wait_for("Detaching from process")[0]

    both(scenario, offered=offered)


def test_kill(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("stop_here")
        pid = side.pid
        side.client.send(b"k")
        yield side.wait_gone(pid)
        yield side.log.wait_for(r"^Killing.*")[0].replace(str(pid), "PID")

    both(scenario)


def test_kill_by_pid(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        side.run_to("stop_here")
        pid = side.pid
        yield side.ask(side.named(b"vKill;{pid}"))
        yield side.wait_gone(pid)

    both(scenario)
