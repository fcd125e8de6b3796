"""32-bit programs: what GNU gdbserver says of their registers, steps, signals and watched memory, we say, too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.differential import Side, register_file, symbols, whole, xml
from tests.support.i386 import PROGRAM
from tests.unit.amd64_state import has_avx512
from tests.unit.i386_state import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Both = Callable[..., None]

SYMBOL = symbols(PROGRAM)

DESCRIPTION = b"qXfer:features:read:target.xml:0,10000"
SIGINFO = b"qXfer:siginfo:read::0,1000"
EXPEDITED_BY_GNU = ("05", "04", "08")
"""ebp, esp and eip."""
EFLAGS, FIRST_SEGMENT, FCTRL, FTAG, FOP, MXCSR, FIRST_DESCRIPTOR = 9, 10, 24, 26, 31, 40, 42


def stop(side: Side, reply: bytes) -> tuple[bytes, dict[str, str]]:
    """Signal and pairs of a stop reply, of the registers those that both send, and not the CPU's number."""
    assert reply[:1] == b"T", reply
    pairs = dict(pair.split(":", 1) for pair in side.unnamed(reply[3:].decode()).split(";") if pair)
    return reply[1:3], {k: v for k, v in pairs.items() if k in EXPEDITED_BY_GNU or not re.fullmatch("..|core", k)}


def siginfo(side: Side, reply: bytes) -> object:
    """With a name in place of the pid, which is the first word behind si_code of most."""
    assert reply[:1] == b"l"
    return reply[1:].replace(side.pid.to_bytes(4, "little"), b"{pid}")


def run_to(side: Side, symbol: str) -> bytes:
    place = b"0,%x,1" % SYMBOL[symbol]
    assert side.ask(b"Z" + place) == b"OK"
    reply = side.ask(b"vCont;c")
    assert side.ask(b"z" + place) == b"OK"
    return reply


def test_what_is_known_at_the_start(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield stop(side, side.first_stop)
        yield side.ask(DESCRIPTION)
        yield register_file(side, side.ask(b"g"))
        yield whole(side, side.ask(b"qXfer:exec-file:read::0,1000"))
        yield len(side.ask(b"qXfer:auxv:read::0,1000"))
        yield xml(side, side.ask(b"qXfer:threads:read::0,1000"))

    both(scenario, "localhost:0", PROGRAM)


def test_without_descriptions(both: Both) -> None:
    """A client that reads none knows the register file up to MXCSR and orig_eax by heart."""

    def scenario(side: Side) -> Iterator[object]:
        yield len(side.ask(b"g")) // 2 >= 16 * 4 + 8 * 10 + 8 * 4 + 8 * 16 + 4 + 4

    both(scenario, "localhost:0", PROGRAM, offered="multiprocess+")


@pytest.mark.skipif(not has_avx512(), reason="this CPU lacks AVX-512, whose registers the program sets")
def test_every_register_has_a_value(both: Both, tmp_path: Path) -> None:
    """Not offered: swbreak, for which GNU gdbserver takes the program's own int3."""

    def scenario(side: Side) -> Iterator[object]:
        yield stop(side, side.ask(b"vCont;c"))
        yield register_file(side, side.ask(b"g"))

    both(scenario, "localhost:0", build(tmp_path), offered="multiprocess+;vContSupported+;xmlRegisters=i386")


def sizes(side: Side) -> list[int]:
    """Of the registers, in bytes, in the order of their numbers."""
    return [int(bits) // 8 for bits in re.findall(rb'<reg .*?bitsize="(\d+)"', side.ask(DESCRIPTION))]


def flipped(number: int, value: bytes) -> bytes | None:
    """Another value that the kernel takes; None: there is none.

    Of ftag the hardware keeps only which registers are empty; GNU gdbserver repeats what was written until it looks."""
    if FIRST_SEGMENT <= number < FIRST_SEGMENT + 6 or number == FTAG:
        return None
    if number == FIRST_DESCRIPTOR + 1:  # struct user_desc
        return bytes.fromhex("0d000000 78563412 ffff0f00 51000000")
    if FIRST_DESCRIPTOR <= number < FIRST_DESCRIPTOR + 3:
        return None
    width = {EFLAGS: 1, MXCSR: 1}.get(number, 1 if FCTRL <= number <= FOP else len(value))
    mask = {EFLAGS: 0x01, MXCSR: 0x41}.get(number, 0x55)
    return bytes(byte ^ mask for byte in value[:width]) + value[width:]


def test_writing_each_register(both: Both) -> None:
    """By `G`: GNU gdbserver has no `P`."""

    def scenario(side: Side) -> Iterator[object]:
        run_to(side, "main")
        start = 0
        for number, size in enumerate(sizes(side)):
            file = bytearray.fromhex(side.ask(b"g").decode())
            if (wanted := flipped(number, bytes(file[start : start + size]))) is not None:
                file[start : start + size] = wanted
                yield number, side.ask(b"G%b" % file.hex().encode())
                yield number, register_file(side, side.ask(b"g"))
            start += size

    both(scenario, "localhost:0", PROGRAM)


def test_writing_back_what_was_read(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        run_to(side, "add")
        file = side.ask(b"g")
        yield side.ask(b"G" + file)
        yield side.ask(b"g") == file
        yield stop(side, side.ask(side.named(b"vCont;s:p{pid}.-1")))

    both(scenario, "localhost:0", PROGRAM)


def test_steps(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield stop(side, run_to(side, "main"))
        for _ in range(30):
            yield stop(side, side.ask(b"vCont;s"))

    both(scenario, "localhost:0", PROGRAM)


@pytest.mark.parametrize("length", [1, 2, 4, 8])
def test_watching_memory(both: Both, length: int) -> None:
    def scenario(side: Side) -> Iterator[object]:
        run_to(side, "main")
        yield side.ask(b"Z2,%x,%x" % (SYMBOL["wide"] + 8 - length, length))
        signal, pairs = stop(side, side.ask(b"vCont;c"))
        yield signal, {name: int(value, 16) if name == "watch" else value for name, value in pairs.items()}

    both(scenario, "localhost:0", PROGRAM)


@pytest.mark.parametrize("what", ["fault", "children"])
def test_siginfo(both: Both, what: str) -> None:
    def scenario(side: Side) -> Iterator[object]:
        yield stop(side, side.ask(b"vCont;c"))
        reply = side.ask(SIGINFO)
        yield siginfo(side, reply[:13] + reply[17:] if what == "children" else reply)  # the child's pid
        yield side.ask(b"qXfer:siginfo:read::8,10")[:5]

    both(scenario, "localhost:0", PROGRAM, what)


def test_siginfo_of_sent_signals(both: Both) -> None:
    def scenario(side: Side) -> Iterator[object]:
        reply = side.ask(b"vCont;c")
        for _ in range(2):
            yield stop(side, reply)
            yield siginfo(side, side.ask(SIGINFO))
            reply = side.ask(side.named(b"vCont;C%b:p{pid}.{tid0};c" % reply[1:3]))
        yield reply[:1]

    both(scenario, "localhost:0", PROGRAM, "signals")


def test_siginfo_is_changed(both: Both) -> None:
    """The second signal was queued with a value that its handler keeps."""

    def scenario(side: Side) -> Iterator[object]:
        first = side.ask(b"vCont;c")
        second = side.ask(side.named(b"vCont;C%b:p{pid}.{tid0};c" % first[1:3]))
        yield side.ask(b"qXfer:siginfo:write::14:\x44\x33\x22\x11")
        yield siginfo(side, side.ask(SIGINFO))
        assert side.ask(b"Z0,%x,1" % SYMBOL["arrived"]) == b"OK"
        side.ask(side.named(b"vCont;C%b:p{pid}.{tid0};c" % second[1:3]))
        yield side.ask(b"m%x,4" % SYMBOL["last_value"])

    both(scenario, "localhost:0", PROGRAM, "signals")
