"""lldb-server's command lines. Expected: what `lldb-server gdbserver --help` says, and the words that LLDB uses."""

from __future__ import annotations

import math
import re

import pytest

from debugserver import lldb_options
from debugserver.errors import UsageError
from debugserver.lldb_options import parse_gdbserver, parse_platform


def test_as_lldb_starts_it_for_local_debugging() -> None:
    line = parse_gdbserver(["--native-regs", "--setsid", "--fd=8"])
    assert (line.comm, line.has_program, line.attach) == ("fd:8", False, False)
    assert line.new_session
    assert line.once
    assert line.settings.extended
    assert line.stdio == "client-pty"
    assert not line.launch.startup_with_shell


def test_as_lldb_starts_it_with_a_port_to_tell() -> None:
    line = parse_gdbserver(["tcp://[127.0.0.1]:0", "--native-regs", "--pipe", "7", "--", "prog", "--x", "--"])
    assert (line.comm, line.tell_port) == ("[127.0.0.1]:0", (7,))
    assert (line.launch.program, line.launch.arguments) == ("prog", ("--x", "--"))


def test_as_lldb_starts_it_to_be_called_back() -> None:
    line = parse_gdbserver(["--reverse-connect", "127.0.0.1:4711"])
    assert line.comm == "connect:127.0.0.1:4711"


def test_a_program_may_follow_the_address() -> None:
    line = parse_gdbserver(["--named-pipe=/p", "localhost:1", "prog", "a"])
    assert line.tell_port == ("/p",)
    assert (line.has_program, line.launch.program, line.launch.arguments) == (True, "prog", ("a",))


@pytest.mark.parametrize(("value", "seconds"), [("0", 0.0), ("60", 60.0), ("9" * 400, math.inf)])
def test_how_long_to_wait_for_a_client(value: str, seconds: float) -> None:
    assert parse_gdbserver(["--accept-timeout", value, ":1"]).accept_timeout == seconds


def test_a_program_with_a_descriptor() -> None:
    assert parse_gdbserver(["--fd", "3", "--", "prog"]).launch.program == "prog"


@pytest.mark.parametrize(("value", "pid", "name"), [("4711", 4711, ""), ("sleep", 0, "sleep")])
def test_attaching(value: str, pid: int, name: str) -> None:
    line = parse_gdbserver(["--attach", value, ":1"])
    assert (line.attach, line.pid, line.process_name) == (True, pid, name)


@pytest.mark.parametrize(
    ("channels", "components"),
    [
        ("gdb-remote packets", {"remote"}),
        ("gdb-remote packets:lldb process thread", {"remote", "threads", "event-loop"}),
        ("posix ptrace", {"threads"}),
        ("", set()),
    ],
)
def test_logging(channels: str, components: set[str]) -> None:
    line = parse_gdbserver(["--log-file=/log", "--log-channels", channels, ":1"])
    assert (line.settings.debug_file, line.settings.debug) == ("/log", components)


@pytest.mark.parametrize(
    ("url", "comm"),
    [
        ("localhost:1", "localhost:1"),
        (":0", ":0"),
        ("*:1234", "0.0.0.0:1234"),
        ("tcp://0.0.0.0:1", "0.0.0.0:1"),
        ("connect://[::1]:1", "[::1]:1"),
        ("unix:///tmp/s", "unix:/tmp/s"),
        ("unix-abstract://name", "unix:@name"),
        ("fd://5", "fd:5"),
        ("serial:///dev/pts/7?baud=115200&parity=even", "/dev/pts/7"),
    ],
)
def test_addresses(url: str, comm: str) -> None:
    assert lldb_options.comm_of(url) == comm


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "no connection arguments"),
        ("--fd", "argument to '--fd' is missing"),
        ("--fd=x", "Invalid argument for --fd: x"),
        ("--pipe=-1 :1", "Invalid argument for --pipe: -1"),
        ("--setsid=1 :1", "--setsid takes no value"),
        ("--unknown :1", "unknown argument '--unknown'"),
        ("--log-channels=nonsense :1", "Unable to log channel: nonsense"),
        ("udp://x:1", "unknown kind of address 'udp://x:1'"),
    ],
)
def test_mistakes_are_named(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        parse_gdbserver(words.split())


def test_help_lists_every_option() -> None:
    for parse, table in ((parse_gdbserver, lldb_options.GDBSERVER), (parse_platform, lldb_options.PLATFORM)):
        text = parse(["--help"]).information
        for option in table:
            assert f"\n  --{option.flag}" in text


def test_a_platform() -> None:
    line = parse_platform(["--server", "--listen", "*:1234", "-P", "4711", "-f", "/port", "--allow-shell"])
    assert (line.comm, line.once, line.allow_shell, line.socket_file) == ("0.0.0.0:1234", False, True, "/port")
    assert list(line.ports) == [4711]


def test_defaults_of_a_platform() -> None:
    line = parse_platform(["-L", ":0"])
    assert (line.comm, line.once, line.allow_shell, line.port_offset) == (":0", True, False, 0)
    assert list(line.ports) == [0]


@pytest.mark.parametrize("words", ["-m 5 -M 7", "--max-gdbserver-port=7 --min-gdbserver-port=5"])
def test_a_range_of_ports(words: str) -> None:
    assert list(parse_platform([*words.split(), "--listen=:0", "--port-offset=100"]).ports) == [5, 6]


def test_a_platform_with_a_program() -> None:
    line = parse_platform(["--listen", ":0", "--", "prog", "--x"])
    assert line.program == ("prog", "--x")
    assert not line.has_program


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--server", "--listen is needed"),
        ("--listen=:0 -m 7 -M 7", "there is no port between"),
        ("--listen=:0 -P 65536", "Invalid argument for --gdbserver-port: 65536"),
        ("--listen=:0 --socket-file", "argument to '--socket-file' is missing"),
    ],
)
def test_mistakes_with_a_platform_are_named(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        parse_platform(words.split())
