"""Registers and memory of live threads: written and seen by the program, read without our own traces."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.live.session import RAX, RDI, RIP, RSP, Session, exited, name, pc_of, thread_of
from tests.live.sleeping import asleep
from tests.support.processes import read_memory
from tests.support.programs import compile_program

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 4096
TRAP = b"\xcc"


@pytest.mark.parametrize("who", ["reader", "sleeper"])
@pytest.mark.parametrize("whole", [True, False], ids=["G", "P"])
def test_call_in_a_sleeping_thread(debug: Callable[..., Session], who: str, whole: bool) -> None:
    """Its pc goes where it was told, and no call is restarted; put back, the call goes on unharmed."""
    session, reader, sleeper = asleep(debug)
    thread = (session.pid, reader if who == "reader" else sleeper)
    session.choose(thread[1])
    rows = registers_of(session)
    before = session.client.read_registers()
    stack = (session.register(RSP) - 256) & ~15
    session.client.write_memory(stack - 8, session.symbols["returned"].to_bytes(8, "little"))
    session.set_register(RSP, stack - 8)
    session.set_register(RDI, 41)
    session.set_register(RIP, session.symbols["call"])
    session.insert("returned")
    stop = session.go(f"c:{name(thread)}")
    assert (thread_of(stop), pc_of(stop)) == (thread, session.symbols["returned"])
    assert session.register(RAX) == 42
    assert session.read_int("calls") == 1
    session.remove("returned")
    if whole:
        session.client.write_registers(before)
    else:
        write_one_by_one(session, rows, before)
    session.write_int("done", 1)
    exited(session.go(), 0)


def write_one_by_one(session: Session, rows: list[tuple[int, str, int]], registers: bytes) -> None:
    """The register file, in the order that GDB writes it in."""
    offset = 0
    for number, _, bits in rows:
        session.client.write_register(number, registers[offset : offset + bits // 8])
        offset += bits // 8


def registers_of(session: Session) -> list[tuple[int, str, int]]:
    """(number, name, bits) of each register in the target description."""
    found = re.findall(r"<reg\s[^>]*>", session.client.transfer("features", "target.xml").decode())
    rows = []
    for number, text in enumerate(found):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', text))
        rows.append((number, attributes["name"], int(attributes["bitsize"])))
    return rows


def test_looking_at_sleepers_does_not_wake_them(debug: Callable[..., Session]) -> None:
    session, reader, sleeper = asleep(debug)
    for _ in range(5):
        for tid in (reader, sleeper):
            session.choose(tid)
            session.client.write_registers(session.client.read_registers())
        session.client.resume()
        session.interrupt()
    session.write_int("done", 1)
    exited(session.go(), 0)


def test_vector_registers(debug: Callable[..., Session]) -> None:
    """What a client writes, the program finds there."""
    session = debug("vectors")
    session.insert("stopped")
    session.choose(thread_of(session.go())[1])
    numbers = {name: number for number, name, _ in registers_of(session)}
    low = b"".join(value.to_bytes(4, "little") for value in (1, 2, 3, 4))
    assert session.client.read_register(numbers["xmm0"]) == low
    session.client.write_register(numbers["xmm0"], (77).to_bytes(4, "little") + low[4:])
    session.client.write_register(numbers["ymm0h"], b"".join(n.to_bytes(4, "little") for n in (55, 0, 0, 88)))
    session.remove("stopped")
    exited(session.go(), 0)
    session.server.output.wait_for(r"^77 55 88 2\.5$")


@pytest.mark.parametrize("whole", [True, False], ids=["G", "P"])
@pytest.mark.parametrize(
    ("register", "value"),
    [("mxcsr", 0xFFFFFFFF), ("cs", 0), ("ss", 0), ("fs_base", 0xFFFF8000_00000000)],
)
def test_a_value_that_the_system_refuses(debug: Callable[..., Session], register: str, value: int, whole: bool) -> None:
    """Whoever writes it hears of it, and nothing has changed; the program runs as it would have."""
    session = debug("steps")
    rows = registers_of(session)
    (row,) = (row for row in rows if row[1] == register)
    before = session.client.read_registers()
    offset, size = sum(bits for *_, bits in rows[: row[0]]) // 8, row[2] // 8
    data = value.to_bytes(size, "little")
    file = before[:offset] + data + before[offset + size :]
    assert session.ask(f"G{file.hex()}" if whole else f"P{row[0]:x}={data.hex()}")[:1] == "E"
    assert session.client.read_registers() == before
    session.step((session.pid, session.pid))
    exited(session.go(), 7)


def test_a_value_of_which_the_system_takes_a_part(debug: Callable[..., Session]) -> None:
    """Of the flags those that a program may have (FLAG_MASK in the kernel's ptrace.c), and two that are always set."""
    session = debug("steps")
    (number,) = (number for number, name, _ in registers_of(session) if name == "eflags")
    before = session.client.read_register(number)
    session.client.write_register(number, b"\xff" * 4)
    assert int.from_bytes(session.client.read_register(number), "little") == 0x54DD5 | 0x202
    session.client.write_register(number, before)
    assert session.client.read_register(number) == before
    exited(session.go(), 7)


def test_registers_of_a_thread_that_is_gone(debug: Callable[..., Session]) -> None:
    session = debug("vectors")
    assert session.ask(f"Hgp{session.pid:x}.{0x3FFFFF:x}")[:1] == "E"


def at_pages(debug: Callable[..., Session]) -> tuple[Session, int]:
    session = debug("pages")
    session.insert("ready")
    session.go()
    session.remove("ready")
    return session, session.read_int("pages", 8)


def test_reading_up_to_a_gap(debug: Callable[..., Session]) -> None:
    session, pages = at_pages(debug)
    gap = pages + 2 * PAGE
    assert session.client.read_memory(gap - 10, 100) == b"\x22" * 10
    assert session.client.read_memory(pages, 3 * PAGE) == b"\x11" * PAGE + b"\x22" * PAGE
    assert session.ask(f"m{gap:x},1") == "E01"
    assert session.ask(f"m{gap - 1:x},1") == "22"


@pytest.mark.parametrize("letter", ["X", "M"])
def test_writing_code_that_is_read_only(debug: Callable[..., Session], letter: str) -> None:
    """Forced: a debugger may write where the program may not, and the page's protection stays."""
    session, pages = at_pages(debug)
    start = pages + PAGE - 4
    data = b"ABCDEFGH" if letter == "X" else b"ABCDEFGH".hex().encode()
    assert session.client.request(b"%b%x,8:%b" % (letter.encode(), start, data)) == b"OK"
    assert session.client.read_memory(start, 9) == b"ABCDEFGH\x22"
    maps = Path(f"/proc/{session.pid}/maps").read_text()
    assert re.search(rf"^{pages + PAGE:x}-\w+ r-xp", maps, re.MULTILINE)


def test_writing_into_a_gap(debug: Callable[..., Session]) -> None:
    session, pages = at_pages(debug)
    assert session.client.request(b"X%x,8:ABCDEFGH" % (pages + 2 * PAGE)) == b"E01"
    assert session.client.request(b"X%x,8:ABCDEFGH" % (pages + 2 * PAGE - 4)) == b"E01"


def in_memory(session: Session, address: int, length: int) -> bytes:
    """What is really there."""
    return read_memory(session.pid, address, length)


def in_file(symbol: int, length: int) -> bytes:
    """The program's text as it was linked: without relocations the file says it all."""
    program = compile_program("pages", "-no-pie")
    text = program.read_bytes()
    for kind, offset, address, size in program_headers(text):
        if kind == 1 and address <= symbol < address + size:
            return text[offset + symbol - address :][:length]
    raise AssertionError(f"{symbol:#x} is in no segment")


def program_headers(elf: bytes) -> list[tuple[int, int, int, int]]:
    """(type, offset, address, size in the file) of each segment (elf(5))."""
    table, count = int.from_bytes(elf[32:40], "little"), int.from_bytes(elf[56:58], "little")
    rows = []
    for start in range(table, table + 56 * count, 56):
        words = [int.from_bytes(elf[start + at : start + at + 8], "little") for at in range(0, 56, 8)]
        rows.append((words[0] & 0xFFFFFFFF, words[1], words[2], words[4]))
    return rows


def test_traps_are_hidden(debug: Callable[..., Session]) -> None:
    session, _ = at_pages(debug)
    text = session.symbols["text"]
    for offset in (0, 1, 4):
        session.expect_ok(f"Z0,{text + offset:x},1")
    assert in_memory(session, text, 5) == TRAP * 2 + in_file(text + 2, 2) + TRAP
    assert session.client.read_memory(text, 8) == in_file(text, 8)
    assert session.client.read_memory(text + 1, 1) == in_file(text + 1, 1)
    assert session.client.read_memory(text - 3, 4) == in_file(text - 3, 4)


def test_writes_under_a_trap(debug: Callable[..., Session]) -> None:
    """The program's new bytes are what a client reads, and what is there when the program goes on without the
    breakpoint."""
    session, _ = at_pages(debug)
    text = session.symbols["text"]
    session.insert("text")
    session.client.write_memory(text - 1, b"abc")
    assert in_memory(session, text - 1, 3) == b"a" + TRAP + b"c"
    assert session.client.read_memory(text - 1, 3) == b"abc"
    session.remove("text")
    assert session.client.read_memory(text - 1, 3) == b"abc"
    assert session.go().kind == "T"  # at what is no instruction
    assert in_memory(session, text - 1, 3) == b"abc"


def test_a_breakpoint_in_code_that_is_made_anew(debug: Callable[..., Session]) -> None:
    """It is hit each time when it is taken out and put back, as GDB does at each stop; and memory shows what the
    program wrote there."""
    session = debug("rewrites")
    session.insert("made")
    stop = session.go()
    place = session.read_int("place", 8)
    inside = f"0,{place + 1:x},1"
    for number in range(5):
        assert pc_of(stop) == session.symbols["made"]
        assert session.client.read_memory(place, 7) == b"\x90\xb8" + number.to_bytes(4, "little") + b"\xc3"
        session.expect_ok("z" + inside)
        session.step_off(stop, "made")
        session.expect_ok("Z" + inside)
        stop = session.go()
        assert pc_of(stop) == place + 1
        assert session.client.read_memory(place, 3) == bytes([0x90, 0xB8, number])
        session.expect_ok("z" + inside)
        session.step(thread_of(stop))
        session.expect_ok("Z" + inside)
        stop = session.go()
    exited(stop, sum(range(5)))


def test_a_breakpoint_where_nothing_is(debug: Callable[..., Session]) -> None:
    session, pages = at_pages(debug)
    assert session.ask(f"Z0,{pages + 2 * PAGE:x},1")[:1] == "E"
    session.expect_ok(f"z0,{pages + 2 * PAGE:x},1")
    session.expect_ok(f"Z0,{pages:x},1")
    assert in_memory(session, pages, 2) == TRAP + b"\x11"
    exited(session.go(), 5)
