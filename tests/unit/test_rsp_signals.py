"""Signal numbers against the kernel's names and GDB's own list."""

from __future__ import annotations

import shutil
import signal
import subprocess

import pytest

from debugserver.errors import MalformedPacket
from debugserver.rsp import signals


def gdb_numbers() -> dict[str, int]:
    """Name -> GDB's number. `info signals` lists them in the order of their numbers, from 1 on, without UNKNOWN."""
    gdb = shutil.which("gdb")
    if gdb is None:
        pytest.skip("no GDB")
    command = [gdb, "-nx", "-batch", "-ex", "info signals"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    names = [line.split()[0] for line in text.splitlines() if line.startswith("SIG")]
    return {name: number for number, name in enumerate(names, 1)}


def host_name(number: int) -> str:
    if 32 <= number <= 64:
        return f"SIG{number}"
    return signal.Signals(number).name


def test_numbers_are_those_of_gdb() -> None:
    numbers = gdb_numbers()
    for host in range(1, 65):
        if host != 16:
            assert signals.to_gdb(host) == numbers[host_name(host)], host_name(host)


@pytest.mark.parametrize(
    ("host", "gdb"),
    [
        (signal.SIGINT, 2),
        (signal.SIGTRAP, 5),
        (signal.SIGBUS, 10),
        (signal.SIGUSR1, 30),
        (signal.SIGCHLD, 20),
        (signal.SIGSTOP, 17),
        (32, 77),
        (33, 45),
        (34, 46),
        (63, 75),
        (64, 78),
        (0, 0),
    ],
)
def test_well_known_numbers(host: int, gdb: int) -> None:
    assert signals.to_gdb(host) == gdb
    assert signals.from_gdb(gdb) == host


def test_every_host_signal_comes_back() -> None:
    assert [signals.from_gdb(signals.to_gdb(host)) for host in range(65)] == list(range(65))


@pytest.mark.parametrize("host", [16, 65, 1000, -1])
def test_signals_without_a_number(host: int) -> None:
    assert signals.to_gdb(host) == 143


def test_poll_is_io() -> None:
    assert signals.from_gdb(33) == signal.SIGPOLL


@pytest.mark.parametrize("gdb", [7, 29, 34, 76, 79, 142, 144, -1])
def test_signals_that_the_host_lacks(gdb: int) -> None:
    with pytest.raises(MalformedPacket):
        signals.from_gdb(gdb)
