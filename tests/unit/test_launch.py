"""A program that we start finds the same world as one that a shell starts."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from debugserver.errors import LaunchFailed
from debugserver.linux.launch import command
from debugserver.target.model import LaunchSettings
from tests.support.processes import DEADLINE, is_gone, wait_until
from tests.support.server import SOURCE

if TYPE_CHECKING:
    from pathlib import Path

# In a process of its own: fork wants a single thread, and pytest has several.
DRIVER = """
import os, sys
from debugserver.linux import launch
from debugserver.target.model import LaunchSettings

settings = LaunchSettings()
settings.environment = dict(os.environ)
exec(sys.argv[1])
settings.program, *arguments = sys.argv[2:]
settings.arguments = tuple(arguments)
before = sorted(os.listdir("/proc/self/fd"))
spawned = launch.spawn(settings)
spawned.release()
failure = spawned.failure()
_, status = os.waitpid(spawned.pid, 0)
spawned.take_terminal_back()
assert sorted(os.listdir("/proc/self/fd")) == before, "descriptors leak"
print("errno", failure.errno if failure else 0, "execs", spawned.execs, "status", os.waitstatus_to_exitcode(status))
"""
SIGNAL_SETS = re.compile(r"^(SigBlk|SigIgn|SigPnd|ShdPnd|SigCgt):\s*(\w+)", re.MULTILINE)


def driver(*program: str, setup: str = "") -> list[str]:
    return [sys.executable, "-c", DRIVER, setup, *program]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SOURCE), "SHELL": "/bin/sh", **more}


def start(*program: str, setup: str = "", **more: str) -> str:
    result = subprocess.run(
        driver(*program, setup=setup),
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
        check=True,
        start_new_session=True,
    )
    return result.stdout


def test_signals_are_as_a_shell_leaves_them() -> None:
    """A shell at a terminal, that is: one that is asked to start something in the background ignores more."""
    shell = subprocess.run(
        ["/bin/sh", "-c", "cat /proc/self/status; exit"], capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    ours = dict(SIGNAL_SETS.findall(start("cat", "/proc/self/status")))
    assert ours == dict(SIGNAL_SETS.findall(shell.stdout))
    assert set(ours.values()) == {"0" * 16}


def test_signals_that_the_server_ignores_are_default_in_the_program() -> None:
    ours = dict(SIGNAL_SETS.findall(start("cat", "/proc/self/status", setup=IGNORE_ALL)))
    assert set(ours.values()) == {"0" * 16}


IGNORE_ALL = """
import signal
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
"""


def test_no_descriptor_of_ours_is_inherited() -> None:
    """`ls` itself has opened the last one: the directory that it lists."""
    listing = start("ls", "/proc/self/fd", setup="keep = open('/dev/null'), os.pipe()")
    assert listing.split("errno")[0].split() == ["0", "1", "2", "3"]


def test_it_leads_a_process_group_in_our_session() -> None:
    pid, group, session = start("sh", "-c", "cut -d' ' -f5,6 /proc/$$/stat | sed s/^/$$' '/").split("\n")[0].split()
    assert group == pid
    assert session != pid


def test_the_environment_and_directory_are_the_wanted_ones(tmp_path: Path) -> None:
    setup = (
        f"settings.environment = {{'ONLY': 'this', 'PATH': os.environ['PATH']}}; settings.directory = {str(tmp_path)!r}"
    )
    output = start("sh", "-c", "echo $ONLY $HOME.; pwd", setup=setup)
    assert output.splitlines()[:2] == ["this .", str(tmp_path)]


@pytest.mark.parametrize(("setup", "equal"), [("", True), ("settings.disable_randomization = False", False)])
def test_addresses_are_the_same_at_every_start_unless_asked_otherwise(setup: str, equal: bool) -> None:
    stacks = {
        re.search(r"^(\w+)-.*\[stack\]", start("cat", "/proc/self/maps", setup=setup), re.MULTILINE) for _ in "12"
    }
    assert (len({match[1] for match in stacks if match}) == 1) is equal


def test_our_own_addresses_stay_random() -> None:
    setup = "settings.program = 'true'; launch.spawn(settings).abandon(); print(open('/proc/self/personality').read())"
    assert start("true", setup=setup).startswith("00000000\n")


def settings(*program: str, **more: object) -> LaunchSettings:
    made = LaunchSettings()
    made.program, *arguments = program
    made.arguments = tuple(arguments)
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_execs_are_counted_with_shell_and_wrapper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/sh")
    wrapper = ("env", "A=b c")
    assert command(settings("p", "*", startup_with_shell=False)) == (("p", "*"), 1)
    assert command(settings("p", startup_with_shell=False, wrapper=wrapper)) == (("env", "A=b c", "p"), 2)
    assert command(settings("p", "*", "a b", "")) == (("/bin/sh", "-c", "exec p '*' 'a b' ''"), 2)
    assert command(settings("p", wrapper=wrapper)) == (("/bin/sh", "-c", "exec env 'A=b c' p"), 3)
    assert command(settings("p", "*.c", "$X", escape_arguments=False))[0][2] == "exec p *.c $X"


def test_without_a_shell_a_line_of_arguments_is_taken_apart() -> None:
    direct = settings("p", "a 'b c'", "d", escape_arguments=False, startup_with_shell=False)
    assert command(direct).arguments == ("p", "a", "b c", "d")
    direct.arguments = ('"',)
    with pytest.raises(LaunchFailed, match="No closing quotation"):
        command(direct)


def test_the_shell_expands_arguments_only_when_asked() -> None:
    assert start("echo", "$HOME", "a  b").startswith("$HOME a  b\n")
    assert start("echo", "$WORD", setup="settings.escape_arguments = False", WORD="expanded").startswith("expanded\n")


@pytest.mark.parametrize(
    ("program", "setup", "number", "status"),
    [
        ("/nonexistent", "settings.startup_with_shell = False", 2, 127),
        ("/etc/passwd", "settings.startup_with_shell = False", 13, 127),
        ("/bin/true", "settings.directory = '/nonexistent'", 2, 127),
        ("/nonexistent", "", 0, 127),
        ("/etc", "", 0, 126),
    ],
)
def test_a_failure_to_execute_is_known(program: str, setup: str, number: int, status: int) -> None:
    last = start(program, setup=setup).splitlines()[-1]
    assert last.startswith(f"errno {number} execs")
    assert last.endswith(f"status {status}")


def test_a_process_that_is_abandoned_ends_without_having_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    start(
        "true",
        setup=f"settings.program = 'touch'; settings.arguments = ({str(made)!r},); launch.spawn(settings).abandon()",
    )
    assert not made.exists()


def test_a_process_that_waits_ends_with_its_parent() -> None:
    setup = "settings.program = 'true'; print('pid', launch.spawn(settings).pid, flush=True); os.kill(os.getpid(), 9)"
    process = subprocess.run(
        driver("true", setup=setup), env=environment(), capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert process.returncode == -signal.SIGKILL
    child = int(process.stdout.split()[1])
    wait_until(lambda: is_gone(child), "the child that was never released ends")


def test_it_gets_the_terminal_and_the_server_gets_it_back() -> None:
    """The program reads the terminal; afterwards its foreground is again the server's process group."""
    setup = (
        "import atexit; atexit.register(lambda: print('foreground ours', os.tcgetpgrp(2) == os.getpgrp(), flush=True))"
    )
    pid, master = pty.fork()
    if pid == 0:
        os.execvpe(sys.executable, driver("sh", "-c", "read line; echo got $line", setup=setup), environment())
    os.write(master, b"typed\n")
    output = read_all(master)
    assert os.waitpid(pid, 0)[1] == 0, output
    assert "got typed" in output
    assert "foreground ours True" in output


def read_all(master: int) -> str:
    output = b""
    while True:
        assert select.select([master], [], [], DEADLINE)[0], output
        try:
            output += os.read(master, 65536)
        except OSError:  # the EIO of a terminal that nobody has open any more
            os.close(master)
            return output.decode()
