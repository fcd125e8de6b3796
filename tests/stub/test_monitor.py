"""`monitor` commands, their texts and what they set. GNU gdbserver's own commands have its texts."""

from __future__ import annotations

import pytest

from debugserver.stub.registry import MONITOR_COMMANDS
from debugserver.stub.settings import Settings
from debugserver.testing.fake_target import FakeTarget
from tests.support.packets import ask, connect, console

HELP = "The following monitor commands are supported:\n"


def monitor(command: str, settings: Settings | None = None) -> str:
    return console(connect(FakeTarget(), settings=settings), b"qRcmd," + command.encode().hex().encode())


def test_help_lists_every_command_between_the_lines_that_name_a_gdbserver() -> None:
    text = monitor("help")
    assert text.startswith(HELP)
    assert text.endswith("Quit GDBserver\n")
    for command in MONITOR_COMMANDS.values():
        assert f"\n  {' '.join(command.words)}" in text
    assert "..." not in text


@pytest.mark.parametrize("command", ["exit", "quit", " exit "])
def test_exit_ends_the_server_after_its_reply(command: str) -> None:
    settings = Settings()
    stub = connect(FakeTarget(), settings=settings)
    assert ask(stub, b"qRcmd," + command.encode().hex().encode()) == b"OK"
    assert settings.exit_requested
    assert stub.ended


def test_nothing_is_nothing() -> None:
    assert ask(connect(FakeTarget()), b"qRcmd,") == b"OK"
    assert ask(connect(FakeTarget()), b"qRcmd,2020") == b"OK"


def test_verbosity() -> None:
    settings = Settings()
    assert monitor("show verbosity", settings) == "Value is 0\n"
    for level in (-2, 3, 1):
        assert monitor(f"set verbosity {level}", settings) == ""
        assert monitor("show verbosity", settings) == f"Value is {level}\n"


@pytest.mark.parametrize(
    "command",
    [
        "set", "show", "set nonsense", "show nonsense", "set verbosity", "set verbosity x", "set verbosity 4",
        "set verbosity -3", "set verbosity 1 2", "show verbosity 1", "help me", "exit now", "set debug",
        "set debug-hw-points yes", "set debug-hw-points", "set debug-format", "set debug-file a b",
    ],
)  # fmt: skip
def test_wrong_arguments_set_nothing(command: str) -> None:
    settings = Settings()
    before = dict(vars(settings))
    assert monitor(command, settings) == "Invalid command\n"
    assert vars(settings) == before


@pytest.mark.parametrize("command", ["nonsense", "exit2", "Help", "verbosity 1", "\x01", "é"])
def test_unknown_commands(command: str) -> None:
    assert monitor(command) == "Invalid monitor command\n"


ALL = {"threads", "event-loop", "remote"}


@pytest.mark.parametrize(
    ("command", "text", "components"),
    [
        ("set debug 1", "General debug output enabled.\n", {"threads"}),
        ("set debug on", "General debug output enabled.\n", {"threads"}),
        ("set debug remote 1", "Debug output for 'remote' enabled.\n", {"remote"}),
        ("set debug event-loop on", "Debug output for 'event-loop' enabled.\n", {"event-loop"}),
        ("set debug all on", "Debug output for 'all' enabled.\n", ALL),
    ],
)
def test_debug_output(command: str, text: str, components: set[str]) -> None:
    settings = Settings()
    assert monitor(command, settings) == text
    assert settings.debug == components


@pytest.mark.parametrize(
    ("command", "text", "left"),
    [
        ("set debug 0", "All debug output disabled.\n", set()),
        ("set debug off", "All debug output disabled.\n", set()),
        ("set debug threads off", "Debug output for 'threads' disabled.\n", {"event-loop", "remote"}),
        ("set debug all 0", "Debug output for 'all' disabled.\n", set()),
    ],
)
def test_less_debug_output(command: str, text: str, left: set[str]) -> None:
    settings = Settings()
    monitor("set debug all on", settings)
    assert monitor(command, settings) == text
    assert settings.debug == left


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("set debug yeah", "Missing value for 'set debug yeah' command."),
        ("set debug remote", "Missing value for 'set debug remote' command."),
        ("set debug on sometimes", "Junk 'sometimes' found at end of 'set debug on' command."),
        ("set debug all yeah", "Invalid value 'yeah' for 'set debug all'."),
        ("set debug all on sometimes", "Junk 'sometimes' found at end of 'set debug all on' command."),
        ("set debug foo on", "Error: unknown debug option 'foo'"),
        ("set debug-format foo", 'Unknown debug-format argument: "foo"'),
        ("set debug-format none,foo", 'Unknown debug-format argument: "foo"'),
    ],
)
def test_mistakes_in_gnu_commands_are_explained(command: str, message: str) -> None:
    settings = Settings()
    assert monitor(command, settings).startswith(f"{message}\n{HELP}")
    assert settings.debug == set()


def test_hardware_points() -> None:
    settings = Settings()
    assert monitor("set debug-hw-points 1", settings) == "H/W point debugging output enabled.\n"
    assert settings.debug == {"hw-points"}
    assert monitor("set debug-hw-points 0", settings) == "H/W point debugging output disabled.\n"
    assert settings.debug == set()


@pytest.mark.parametrize(
    ("options", "text", "timestamps"),
    [
        ("all", "All extra debug format options enabled.\n", True),
        ("none", "All extra debug format options disabled.\n", False),
        ("timestamp", "Timestamps will be added to debug output.\n", True),
        ("all,none", "All extra debug format options disabled.\n", False),
    ],
)
def test_debug_format(options: str, text: str, timestamps: bool) -> None:
    settings = Settings()
    settings.debug_timestamps = not timestamps
    assert monitor(f"set debug-format {options}", settings) == text
    assert settings.debug_timestamps is timestamps


def test_debug_file() -> None:
    settings = Settings()
    assert monitor("set debug-file /some/file", settings) == ""
    assert settings.debug_file == "/some/file"
    assert monitor("set debug-file", settings) == ""
    assert settings.debug_file == ""


@pytest.mark.parametrize("path", ["/foo/bar", ""])
def test_libthread_db_is_not_used_and_gdbserver_scripts_are_not_refused(path: str) -> None:
    """GNU gdbserver's reply is the last line."""
    settings = Settings()
    before = dict(vars(settings))
    lines = monitor(f"set libthread-db-search-path {path}", settings).splitlines()
    assert lines == ["libthread_db is never loaded.", f"libthread-db-search-path set to `{path}'"]
    assert vars(settings) == before
