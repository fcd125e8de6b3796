"""A second kind of target, debugged by the real GDB: the virtual machine of examples/."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.gdb import Gdb, expect
from tests.support.processes import wait_until
from tests.support.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "tiny_vm.py"


@pytest.fixture
def machine() -> Iterator[Server]:
    with Server([sys.executable, str(EXAMPLE)], "localhost:0") as server:
        yield server


def processor_time(server: Server) -> int:
    """What the server has used so far, in clock ticks; it grows only while the machine runs."""
    return int(Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()[11])


def test_breakpoints_steps_and_memory(gdb: Gdb, machine: Server) -> None:
    output = gdb.remote(
        machine.address,
        "info registers r0 r1 eip esp",
        "x/2xw 0",
        "break *0x14",
        "continue",
        "x/xw $esp",
        "stepi",
        "print $r0",
        "continue",
        "print $r0",
        "x/xb 0x14",
        "x/xb 0x20000",
    )
    expect(
        output,
        *(r"^r0 +0x0 +0$", r"^r1 +0x0 +0$", r"^eip +0x0", r"^esp +0x10000"),
        r"^0x0:\s0x00000001\s0x00140006$",
        r"^Breakpoint 1, 0x00000014",
        r"^0xfffc:\s0x00000008$",
        r"^0x00000018",
        r"^\$1 = 1$",
        r"^Breakpoint 1, 0x00000014",
        r"^\$2 = 1$",
        r"^0x14:\s0x02$",
        r"Cannot access memory at address 0x20000",
    )


def test_interrupt_of_an_endless_loop(gdb: Gdb, machine: Server) -> None:
    with gdb.talk() as conversation:
        conversation.run(f"target remote {machine.address}")
        conversation.send("continue")
        before = processor_time(machine)
        wait_until(lambda: processor_time(machine) > before + 5, "the machine runs")
        conversation.interrupt()
        conversation.wait_for("Program received signal SIGINT")
        expect(conversation.run("print $r0 > 100", "print $eip < 0x20"), r"\$1 = 1", r"\$2 = 1")
        conversation.run("kill")


def test_registers_and_memory_are_set_and_the_machine_ends(gdb: Gdb, machine: Server) -> None:
    output = gdb.remote(
        machine.address,
        "set var $r0 = 41",
        "set var $r1 = 1",
        "set var *(int*)0x2000 = 7",
        "print *(int*)0x2000",
        "set var $eip = 4",
        "continue",
        "print $_exitcode",
    )
    expect(output, r"^\$1 = 7$", r"exited with code 052", r"^\$2 = 42$")
    assert machine.wait() == 0


def test_wrong_instructions(gdb: Gdb, machine: Server) -> None:
    output = gdb.remote(
        machine.address, "set var $eip = 0x3000", "stepi", "set var $eip = 0x10000", "stepi", "set var $eip = 0", "kill"
    )
    expect(output, "SIGILL", "SIGSEGV")


def test_conditions_and_dprintf(gdb: Gdb, machine: Server) -> None:
    """A machine that knows nothing of conditions has them evaluated on its side all the same."""
    output = gdb.remote(
        machine.address,
        "set breakpoint condition-evaluation target",
        "set dprintf-style agent",
        r'dprintf *0x18,"r0 is %d\n",$r0',
        "break *0x14 if $r0 == 1500",
        "set debug remote 1",
        "continue",
        "set debug remote 0",
        "print $r0",
        "print *(int *) 0x2000",
        "condition 2 *(int *) 0x2000 > 1600",
        "continue",
        "print $r0",
    )
    expect(output, r"^\$1 = 1500", r"^\$2 = 1500", r"^\$3 = 1601")
    assert output.count("Sending packet: $vCont") < 4
    machine.output.wait_for("r0 is 1601\n")
    assert machine.output.text.splitlines() == [f"r0 is {number}" for number in range(1, 1602)]
