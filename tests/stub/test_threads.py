"""Threads on the fake target: what is beyond the rows of the protocol's table."""

from __future__ import annotations

import pytest

from debugserver.testing.fake_target import FakeTarget
from tests.support.packets import ask, connect, connect_lldb, transcript


@pytest.fixture
def target() -> FakeTarget:
    fake = FakeTarget()
    fake.add_process(10, (10, 11))
    fake.add_process(20, attached=True)
    return fake


@pytest.mark.parametrize("packet", [b"H", b"Hg", b"Hc", b"Hgxyz", b"Hgp", b"Hgp1.", b"Hg-1", b"Hgp-1.-1", b"Hg-2"])
def test_malformed_selections_change_nothing(target: FakeTarget, packet: bytes) -> None:
    transcript(connect(target), [(b"Hgpa.b", b"OK"), (packet, b"E22"), (b"qC", b"QCpa.b")])


@pytest.mark.parametrize("packet", [b"Hg63", b"Hc63", b"Hgpa.14", b"Hgp63.0", b"Hcp63.-1"])
def test_unknown_threads_change_nothing(target: FakeTarget, packet: bytes) -> None:
    transcript(connect(target), [(b"Hgpa.b", b"OK"), (packet, b"E01"), (b"qC", b"QCpa.b")])


def test_continue_thread_is_kept_apart(target: FakeTarget) -> None:
    stub = connect(target)
    transcript(stub, [(b"Hgpa.b", b"OK"), (b"Hcp14.14", b"OK"), (b"qC", b"QCpa.b")])
    assert stub.session.continue_thread == (20, 20)
    for everything in (b"Hc-1", b"Hc0", b"Hcp-1.-1", b"Hcp0.0"):
        transcript(stub, [(b"Hcp14.14", b"OK"), (everything, b"OK")])
        assert stub.session.continue_thread is None


def test_other_letters_are_unknown(target: FakeTarget) -> None:
    assert ask(connect(target), b"Hx0") == b""


@pytest.mark.parametrize(
    ("packet", "reply"),
    [(b"Tpa.b", b"OK"), (b"T14", b"OK"), (b"T63", b"E02"), (b"Tp14.b", b"E02"), (b"T0", b"E22"), (b"T", b"E22")],
)
def test_alive(target: FakeTarget, packet: bytes, reply: bytes) -> None:
    assert ask(connect(target), packet) == reply


def test_extra_info_is_the_name(target: FakeTarget) -> None:
    target.names[target.threads(10)[1]] = "wörker"
    transcript(
        connect(target),
        [
            (b"qThreadExtraInfo,pa.b", "wörker".encode().hex().encode()),
            (b"qThreadExtraInfo,63", b"E01"),
            (b"qThreadExtraInfo,", b"E22"),
            (b"qThreadExtraInfo", b"E22"),
        ],
    )


@pytest.mark.parametrize(
    ("packet", "reply"),
    [
        (b"qAttached", b"0"),
        (b"qAttached:a", b"0"),
        (b"qAttached:14", b"1"),
        (b"qAttached:63", b"E01"),
        (b"qAttached:x", b"E22"),
    ],
)
def test_attached(target: FakeTarget, packet: bytes, reply: bytes) -> None:
    assert ask(connect(target), packet) == reply


def test_symbols_are_never_asked_for(target: FakeTarget) -> None:
    transcript(connect(target), [(b"qSymbol::", b"OK"), (b"qSymbol:1234:6d61696e", b"OK")])


def test_thread_local_addresses(target: FakeTarget) -> None:
    transcript(
        connect(target),
        [
            (b"qGetTLSAddr:pa.b,8,0", b"1b008"),
            (b"qGetTLSAddr:63,8,0", b"E01"),
            (b"qGetTLSAddr:pa.b,8", b"E22"),
            (b"qGetTLSAddr:pa.b,8,zz", b"E22"),
            (b"qGetTLSAddr:", b"E22"),
        ],
    )


def test_lldb_cannot_choose_a_thread_that_is_not_there(target: FakeTarget) -> None:
    """Replies as LLVM's packet tests want them (TestLldbGdbServer)."""
    stub = connect_lldb(target)
    for packet in (b"Hg", b"Hc"):
        transcript(stub, [(packet + b"pa.b", b"OK"), (packet + b"pa.63", b"E15"), (packet + b"63", b"E15")])
        transcript(stub, [(packet + pid + b".b", b"Eff") for pid in (b"p-1", b"p0", b"p63")])
    transcript(stub, [(b"Hg-1", b"Eff"), (b"qXfer:siginfo:read::0,80", b"E01"), (b"qXfer:siginfo:read::0,80:", b"E01")])


def test_lldb_is_told_whether_thread_or_process_is_missing(target: FakeTarget) -> None:
    """Numbers as lldb-server has them (TestGdbRemoteFork)."""
    transcript(connect_lldb(target), [(b"Tpa.b", b"OK"), (b"Tpa.63", b"E02"), (b"T63", b"E02"), (b"Tp63.b", b"E01")])
    transcript(connect(target), [(b"Tpa.b", b"OK"), (b"Tpa.63", b"E02"), (b"T63", b"E02"), (b"Tp63.b", b"E02")])


def test_lldb_cannot_choose_anything_once_all_processes_are_gone(target: FakeTarget) -> None:
    stub = connect_lldb(target)
    transcript(stub, [(b"D", b"OK"), (b"Hgpa.b", b"Eff"), (b"Hcpa.b", b"Eff"), (b"qC", b"E44"), (b"Tpa.b", b"E01")])
