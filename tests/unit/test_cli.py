"""The command as a whole, as far as no program runs under it: exit codes, and where the text goes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from debugserver import __version__
from tests.support.server import SOURCE, gnu_gdbserver

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def run(
    *arguments: str, stdout: int = subprocess.PIPE, pass_fds: Sequence[int] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "debugserver", *arguments],
        cwd=SOURCE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=20,
        check=False,
        stdin=subprocess.DEVNULL,
        pass_fds=pass_fds,
    )


def test_version_goes_to_standard_output() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout.split("\n")[0]) == (0, f"debugserver {__version__}")


def test_help_goes_to_standard_output_and_usage_to_standard_error() -> None:
    asked, wrong = run("--help"), run()
    assert (asked.returncode, asked.stderr) == (0, "")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert asked.stdout.strip() == wrong.stderr.strip()


def test_nobody_needs_to_read_the_help() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = run("--help", stdout=writer)
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, "")


def test_standard_output_may_be_full() -> None:
    with open("/dev/full", "w") as full:
        result = run("--help", stdout=full.fileno())
    assert (result.returncode, result.stderr) == (1, "Cannot write to standard output: No space left on device.\n")


def test_a_regular_file_is_no_client_and_no_program_is_started(tmp_path: Path) -> None:
    mark = tmp_path / "started"
    with open(tmp_path / "file", "w+") as file:
        descriptor = file.fileno()
        result = run(f"fd:{descriptor}", "/bin/touch", str(mark), pass_fds=[descriptor])
    assert result.returncode == 1
    assert result.stderr.startswith(f"fd:{descriptor} is neither a socket nor a terminal\nIt has to be ")
    assert "created" not in result.stderr
    assert not mark.exists()


def test_every_option_of_gdbserver_is_known() -> None:
    gnu = gnu_gdbserver()
    if gnu is None:
        pytest.skip("GNU gdbserver is not installed")
    theirs = subprocess.run([gnu, "--help"], capture_output=True, text=True, timeout=20, check=True).stdout
    flags = {word.split("=")[0].split("[")[0] for word in theirs.split() if word.startswith("--")} - {"--"}
    ours = run("--help").stdout
    assert {flag for flag in flags if f"  {flag}" not in ours} == set()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--unknown",), 2, "Unknown argument: --unknown\n"),
        (("--debug-file",), 2, "Missing argument value for: --debug-file\n"),
        (("--disable-packet=nonsense", ":0", "prog"), 2, 'Don\'t know how to disable "nonsense".\n'),
        (("stdio", ""), 1, "No program to debug\nExiting\n"),
        (("nowhere.invalid:0", "prog"), 1, "nowhere.invalid:0: cannot resolve name: "),
        (("unix:", "prog"), 2, "unix: names no socket\nWrite unix:PATH"),
        (("udp:localhost:0", "prog"), 1, "udp:localhost:0: the protocol needs a reliable stream"),
        (("--attach", ":0", "0"), 1, "Cannot attach to process 0: there is no such process\n"),
        (("--attach", ":0", "-5"), 1, "Cannot attach to process -5: there is no such process\n"),
        (("--attach", ":0", "4294967297"), 1, "Cannot attach to process 4294967297: there is no such process\n"),
        (("gdbserver", "--attach=", ":0"), 2, "argument to '--attach' is missing\n"),
    ],
)
def test_failures_have_a_code_and_a_message(arguments: tuple[str, ...], code: int, message: str) -> None:
    result = run(*arguments)
    assert result.returncode == code
    assert result.stdout == ""
    assert result.stderr.startswith(message)
