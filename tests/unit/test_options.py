"""gdbserver's command line, read: what it takes, and what it says of mistakes (its own words, by running it)."""

from __future__ import annotations

import math
import re

import pytest

from debugserver import options
from debugserver.errors import UsageError
from debugserver.stub.settings import OnDisconnect


def test_options_end_at_comm_and_the_rest_is_the_programs() -> None:
    line = options.parse(["--once", ":2345", "prog", "--multi", "--", "-x"])
    assert (line.comm, line.launch.program, line.launch.arguments) == (":2345", "prog", ("--multi", "--", "-x"))
    assert line.once
    assert not line.settings.extended


def test_a_dash_is_standard_input_and_output() -> None:
    assert options.parse(["--once", "-", "prog"]).comm == "-"


def test_two_dashes_end_the_options() -> None:
    assert options.parse(["--once", "--", ":1", "prog"]).comm == ":1"


def test_defaults_are_gdbservers() -> None:
    line = options.parse([":1", "prog"])
    assert line.launch.disable_randomization
    assert line.launch.startup_with_shell
    assert line.launch.escape_arguments
    assert not any((line.once, line.attach, line.settings.extended, line.settings.debug))


def test_the_last_of_two_contrary_options_counts() -> None:
    line = options.parse(
        ["--no-disable-randomization", "--no-startup-with-shell", "--startup-with-shell", "--no-escape-args", ":1", "p"]
    )
    assert not line.launch.disable_randomization
    assert line.launch.startup_with_shell
    assert not line.launch.escape_arguments


def test_the_program_gets_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEEN_BY_THE_PROGRAM", "yes")
    assert options.parse([":1", "p"]).launch.environment["SEEN_BY_THE_PROGRAM"] == "yes"


def test_arguments_that_the_shell_may_expand_keep_blanks_and_quotes() -> None:
    """Expected: what GNU gdbserver 18.1 gives to its shell for these."""
    arguments = ["*.c", "$X", "", "a  b", '"', "it's", "\\", "a\tb", "a\nb", "\\n", "<x"]
    line = options.parse(["--no-escape-args", ":1", "p", *arguments])
    assert line.launch.argument_line() == "*.c $X '' a\\ \\ b \\\" it\\'s \\ a\\\tb a'\n'b \\n <x"


def test_wrapper_takes_words_up_to_two_dashes() -> None:
    line = options.parse(["--wrapper", "env", "-i", "A=1", "--", "--once", ":1", "p"])
    assert line.launch.wrapper == ("env", "-i", "A=1")
    assert line.once


def test_attach_takes_a_pid() -> None:
    line = options.parse(["--attach", ":1", "4711"])
    assert (line.attach, line.pid, line.has_program) == (True, 4711, False)


def test_multi_needs_no_program_but_takes_one() -> None:
    assert not options.parse(["--multi", ":1"]).has_program
    assert options.parse(["--multi", ":1", "p"]).has_program


def test_a_value_follows_an_equals_sign() -> None:
    assert options.parse(["--debug-file=log", ":1", "p"]).settings.debug_file == "log"


@pytest.mark.parametrize(
    ("words", "components"),
    [
        (["--debug"], {"threads"}),
        (["--debug=all"], {"threads", "event-loop", "remote"}),
        (["--debug=all,-remote"], {"threads", "event-loop"}),
        (["--remote-debug"], {"remote"}),
    ],
)
def test_debug_names_components(words: list[str], components: set[str]) -> None:
    assert options.parse([*words, ":1", "p"]).settings.debug == components


@pytest.mark.parametrize(
    ("value", "stamps"), [("timestamp", True), ("all", True), ("none", False), ("all,none", False)]
)
def test_debug_format(value: str, stamps: bool) -> None:
    assert options.parse([f"--debug-format={value}", ":1", "p"]).settings.debug_timestamps is stamps


@pytest.mark.parametrize(
    ("words", "verbosity"),
    [
        (["--verbose"], -1),
        (["--verbose=2"], -2),
        (["--quiet"], 1),
        (["--quiet=3"], 3),
        (["--verbose=2", "--quiet"], 1),
        (["--quiet", "--verbose=2"], 1),
    ],
)
def test_quiet_wins_over_verbose(words: list[str], verbosity: int) -> None:
    assert options.parse([*words, ":1", "p"]).settings.verbosity == verbosity


def test_streams_lead_where_the_user_says() -> None:
    assert options.parse([":1", "p"]).stdio == "inherit"
    line = options.parse(["--stdio=client", "--stdin=a", "--stderr=b=c", ":1", "p"])
    assert (line.stdio, line.launch.stdin, line.launch.stdout, line.launch.stderr) == ("client", "a", "", "b=c")
    assert line.launch.copy().stderr == "b=c"


def test_what_becomes_of_the_processes_of_a_client_that_goes_away() -> None:
    assert options.parse([":1", "p"]).settings.on_disconnect is OnDisconnect.STOP
    assert options.parse(["--on-disconnect=detach", ":1", "p"]).settings.on_disconnect is OnDisconnect.DETACH


def test_notification_timeout_is_in_seconds() -> None:
    assert options.parse([":1", "p"]).settings.notification_timeout == 30
    assert options.parse(["--notification-timeout=0.5", ":1", "p"]).settings.notification_timeout == 0.5
    assert options.parse(["--notification-timeout=inf", ":1", "p"]).settings.notification_timeout == math.inf


def test_disable_packet_knows_gdbservers_groups() -> None:
    line = options.parse(["--disable-packet=threads,vConts", ":1", "p"])
    assert line.settings.disabled_packets == {"vCont", "vCont?", "qC", "qfThreadInfo", "Tthread", "vConts"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--unknown", "Unknown argument: --unknown"),
        ("-x :1 p", "Unknown argument: -x"),
        ("--once=1 :1 p", "Unknown argument: --once=1"),
        ("--debug-file", "Missing argument value for: --debug-file"),
        ("--debug-file --once :1 p", "Missing argument value for: --debug-file"),
        ("--debug-file :1 p", "Missing argument value for: --debug-file"),
        ("--debug-file - p", "Missing argument value for: --debug-file"),
        ("--debug-format", "Missing argument value for: --debug-format"),
        ("--disable-packet", "Missing argument value for: --disable-packet"),
        ("--wrapper env", "Missing argument value for: --wrapper"),
        ("--wrapper -- :1 p", "Missing argument value for: --wrapper"),
        ("--debug-format=foo :1 p", 'Unknown debug-format argument: "foo"'),
        ("--debug=foo :1 p", "debugserver: unknown debug option 'foo'"),
        ("--stdio=tty :1 p", "Invalid argument for --stdio: tty"),
        ("--stdio=files :1 p", "--stdio=files needs a file"),
        ("--on-disconnect=stay :1 p", "Invalid argument for --on-disconnect: stay"),
        ("--notification-timeout=0 :1 p", "Invalid argument for --notification-timeout: 0"),
        ("--notification-timeout=-1 :1 p", "Invalid argument for --notification-timeout: -1"),
        ("--notification-timeout=nan :1 p", "Invalid argument for --notification-timeout: nan"),
        ("--notification-timeout=soon :1 p", "Invalid argument for --notification-timeout: soon"),
        ("--quiet=4 :1 p", "Invalid argument for --quiet: 4"),
        ("--verbose=x :1 p", "Invalid argument for --verbose: x"),
        ("", "Usage:"),
        (":1", "Usage:"),
        ("--attach :1", "--attach needs"),
        ("--attach :1 abc", "--attach needs"),
        ("--attach :1 1 2", "--attach needs"),
    ],
)
def test_mistakes_are_named(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        options.parse(words.split())


def test_help_lists_every_option() -> None:
    text = options.parse(["--help"]).information
    for group in options.GROUPS.values():
        for option in group:
            assert f"\n  {option.flag}" in text
