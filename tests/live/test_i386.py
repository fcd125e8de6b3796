"""32-bit programs under our server: their registers on their way to the CPU, threads, system calls, and exec across."""

from __future__ import annotations

import re
import struct
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.live.session import PLAIN, SIGINT, SIGTRAP, WITH_EVENTS, exited, symbols, thread_of
from tests.support.i386 import PROGRAM
from tests.support.processes import Output, end_process, is_stopped, status, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from debugserver.rsp.stop_reply import StopReply
    from tests.live.session import Session

EAX, ESP, EIP, GS, ORIG_EAX, FIRST_DESCRIPTOR = 0, 4, 8, 15, 41, 42
WRITE, EXIT_GROUP, PAUSE = 4, 252, 29
"""asm/unistd_32.h"""
AT_ENTRY = 9
MINUS_ONE = 0xFFFFFFFF
ERESTARTNOHAND = -514 & MINUS_ONE
"""What a pause that was interrupted has as its result until it is restarted (linux/errno.h)."""


@pytest.fixture
def run(connect: Callable[..., Session]) -> Callable[..., Session]:
    """Start the program with arguments and have it stand at main."""

    def start(*arguments: str, offered: str = PLAIN) -> Session:
        session = connect(PROGRAM, *arguments, offered=offered)
        session.insert("main")
        assert eip_of(session.go()) == session.symbols["main"]
        session.remove("main")
        return session

    return start


def eip_of(stop: StopReply) -> int:
    assert (stop.kind, stop.signal) == ("T", SIGTRAP), stop
    return int.from_bytes(bytes.fromhex(stop.pairs["08"]), "little")


def architecture(session: Session) -> str:
    description = session.client.transfer("features", "target.xml").decode()
    found = re.search("<architecture>(.*)</architecture>", description)
    assert found
    return found[1]


def sizes(session: Session) -> list[int]:
    """Of the registers in the description, in bytes."""
    description = session.client.transfer("features", "target.xml").decode()
    return [int(bits) // 8 for bits in re.findall(r'<reg .*?bitsize="(\d+)"', description)]


def test_the_register_file_is_that_of_the_description(run: Callable[..., Session]) -> None:
    session = run()
    assert architecture(session) == "i386"
    assert len(session.client.read_registers()) == sum(sizes(session))
    assert session.register(EIP) == session.symbols["main"]


def test_registers_reach_the_cpu(run: Callable[..., Session]) -> None:
    """Each one is written, an instruction is run that changes none of them, and they are read again."""
    session = run()
    text = b"\x90" * 200
    session.client.write_memory(session.symbols["main"], text)
    vectors = range(32, 40)  # xmm0 to xmm7, in every description
    wide = [n for n, size in enumerate(sizes(session)) if n > FIRST_DESCRIPTOR + 2 and size >= 8]
    integers = [number for number in range(8) if number != ESP]
    for number in (*integers, *vectors, *wide):
        value = bytes(number ^ byte | 0x80 for byte in range(sizes(session)[number]))
        session.client.write_register(number, value)
        session.step(session.ids()[0])
        assert session.client.read_register(number) == value


def test_thread_descriptors_reach_the_kernel(run: Callable[..., Session]) -> None:
    """The program's own, which gs selects: what it then has at gs:0 is at the new base."""
    session = run()
    session.insert("add")
    session.go()
    assert session.register(GS) >> 3 == 12
    descriptor = session.client.read_register(FIRST_DESCRIPTOR)
    assert descriptor[:4] == (12).to_bytes(4, "little")
    base = int.from_bytes(descriptor[4:8], "little")
    assert session.client.read_memory(base, 4) == base.to_bytes(4, "little")
    changed = descriptor[:4] + (session.symbols["ratio"]).to_bytes(4, "little") + descriptor[8:]
    session.client.write_register(FIRST_DESCRIPTOR, changed)
    pc = session.register(EIP)
    session.remove("add")
    # mov %gs, %eax; mov %eax, %gs; mov %gs:4, %eax
    session.client.write_memory(pc, bytes.fromhex("8ce8 8ee8 65a104000000"))
    for _ in range(3):
        session.step(session.ids()[0])
    assert session.register(EAX) == session.read_int("ratio", index=1)


def test_threads_have_their_own_variables(run: Callable[..., Session]) -> None:
    session = run("threads")
    session.insert("arrived")
    numbers = {}
    for _ in range(2):
        stop = session.go()
        assert eip_of(stop) == session.symbols["arrived"]
        pid, tid = thread_of(stop)
        address = int(session.ask(f"qGetTLSAddr:p{pid:x}.{tid:x},0,0"), 16)
        numbers[tid] = int.from_bytes(session.client.read_memory(address, 4), "little")
        pointer = (address + 4).to_bytes(4, "little")  # behind the only variable
        assert f'id="p{pid:x}.{tid:x}"' in session.client.transfer("threads").decode()
        assert f'handle="{pointer.hex()}"' in session.client.transfer("threads").decode()
        session.step_off(stop, "arrived")
    assert set(numbers.values()) == {10, 20}
    exited(session.go(), 2)


def test_system_calls_have_the_numbers_of_i386(run: Callable[..., Session]) -> None:
    session = run()
    session.expect_ok(f"QCatchSyscalls:1;{WRITE:x};{EXIT_GROUP:x}")
    reasons = [dict(session.go().pairs) for _ in range(3)]
    assert [reasons[0].get("syscall_entry"), reasons[1].get("syscall_return")] == [f"{WRITE:x}"] * 2
    assert reasons[2].get("syscall_entry") == f"{EXIT_GROUP:x}"
    session.expect_ok("QCatchSyscalls:0")
    exited(session.go(), 2)


def interrupt_pause(session: Session, pid: int) -> None:
    """Let the program run, and stop it in its pause."""
    session.client.resume(b"vCont;c")
    wait_until(lambda: status(pid, "State")[:1] == "S", "the program pauses")
    assert session.interrupt().signal == SIGINT
    assert (session.register(EAX), session.register(ORIG_EAX)) == (ERESTARTNOHAND, PAUSE)


def test_a_system_call_is_restarted(run: Callable[..., Session]) -> None:
    """After a debugger has saved all registers, called a function, and put them back."""
    session = run("pause")
    pid = session.pid
    interrupt_pause(session, pid)
    saved = session.client.read_registers()
    session.set_register(EIP, session.symbols["arrived"], 4)
    assert session.register(ORIG_EAX) == MINUS_ONE
    session.step((pid, pid))
    assert session.register(EIP) == session.symbols["arrived"] + 1  # push %ebp
    session.client.write_registers(saved)
    interrupt_pause(session, pid)


def test_exec_into_32_bits_and_back(debug: Callable[..., Session]) -> None:
    session = debug("executes", str(PROGRAM), "execute", "/bin/true", offered=WITH_EVENTS)
    assert architecture(session) == "i386:x86-64"
    before = len(session.client.read_registers())
    stop = session.go()
    assert bytes.fromhex(stop.pairs["exec"]).decode() == str(PROGRAM)
    assert architecture(session) == "i386"
    assert len(session.client.read_registers()) == sum(sizes(session)) < before
    session.symbols = symbols(PROGRAM)
    assert dict(struct.iter_unpack("<2I", session.client.transfer("auxv")))[AT_ENTRY] == session.symbols["_start"]
    session.insert("add")
    assert eip_of(session.go()) == session.symbols["add"]
    session.remove("add")
    assert bytes.fromhex(session.go().pairs["exec"]).decode().endswith("/true")
    assert architecture(session) == "i386:x86-64"
    assert len(session.client.read_registers()) == before
    exited(session.go(), 0)


@contextmanager
def turning() -> Iterator[int]:
    """The pid of the program while it counts its turns."""
    process = subprocess.Popen([PROGRAM, "turn"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    output = Output(process.stdout)
    try:
        output.wait_for("ready")
        yield process.pid
    finally:
        end_process(process)
        output.close()


def test_attach_and_detach(connect: Callable[..., Session]) -> None:
    with turning() as pid:
        session = connect(PROGRAM, attach=pid)
        assert architecture(session) == "i386"
        before = session.read_int("turns")
        session.expect_ok(f"Z2,{session.symbols['turns']:x},4")
        assert session.go().pairs.keys() & {"watch"}
        assert session.read_int("turns") == before + 1
        session.expect_ok(f"z2,{session.symbols['turns']:x},4")
        session.expect_ok(f"D;{pid:x}")
        assert status(pid, "TracerPid") == "0"
        wait_until(lambda: not is_stopped(pid, pid), "the program turns on")
