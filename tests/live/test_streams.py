"""Where a program's standard streams lead: our own, the client, a terminal of its own, files, nowhere."""

from __future__ import annotations

import hashlib
import os
import pty
import re
import select
import signal
import subprocess
import termios
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from debugserver.testing.client import RspClient
from tests.live.session import SIGINT, SIGTRAP
from tests.support.processes import DEADLINE, is_gone, status, wait_until
from tests.support.server import SOURCE, Server, server_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from debugserver.rsp.stop_reply import StopReply

OURS = server_command("debugserver")


@contextmanager
def connected(address: str) -> Iterator[RspClient]:
    with RspClient.connect(address, DEADLINE) as client:
        client.supported("vContSupported+")
        client.start_no_ack_mode()
        assert client.request(b"QPassSignals:14") == b"OK"  # SIGCHLD, of which shells get many
        yield client


def shell(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


def run_to_its_end(server: Server) -> tuple[StopReply, bytes]:
    """The stop reply, and what the program printed on the client's console."""
    with connected(server.address) as client:
        client.resume()
        return client.wait_stop(), client.console


# The client


def test_output_goes_to_the_client_before_the_exit_is_told(serve: Callable[..., Server]) -> None:
    server = serve(*shell("echo out; echo error >&2; read line || echo no input; exit 3"), options=("--stdio=client",))
    stop, console = run_to_its_end(server)
    assert (stop.kind, stop.status) == ("W", 3)
    assert console == b"out\nerror\nno input\n"
    assert server.wait() == 0
    assert server.output.text == ""


def test_output_is_a_terminal_so_that_lines_come_as_they_are_printed(serve: Callable[..., Server]) -> None:
    script = "test -t 1 && echo a terminal; test -t 0 || echo not a terminal; cat"
    assert run_to_its_end(serve(*shell(script), options=("--stdio=client",)))[1] == b"a terminal\nnot a terminal\n"


def test_binary_output_is_unchanged(serve: Callable[..., Server]) -> None:
    """No byte means anything to the terminal on the way."""
    script = r"printf '%b' '\0000\0001\0003\0004\0010\0015\0012\0021\0023\0177\0377#$*}'"
    assert run_to_its_end(serve(*shell(script), options=("--stdio=client",)))[1] == (
        b"\x00\x01\x03\x04\x08\r\n\x11\x13\x7f\xff#$*}"
    )


def test_much_output_comes_whole_and_in_order(serve: Callable[..., Server]) -> None:
    server = serve("/usr/bin/seq", "100000", options=("--stdio=client",))
    assert run_to_its_end(server)[1] == b"".join(b"%d\n" % number for number in range(1, 100001))


def test_the_interrupt_gets_through_while_the_program_prints_without_end(serve: Callable[..., Server]) -> None:
    server = serve("/usr/bin/yes", options=("--stdio=client",))
    with connected(server.address) as client:
        for _ in range(3):
            client.resume()
            assert client.receive().startswith(b"O790a790a")
            client.interrupt()
            assert client.wait_stop().signal == SIGINT


def test_a_program_waits_for_a_client_that_does_not_read(serve: Callable[..., Server]) -> None:
    """The server's memory does not grow meanwhile."""
    server = serve("/usr/bin/yes", options=("--stdio=client",))
    with connected(server.address) as client:
        before = int(status(server.process.pid, "VmRSS").split()[0])
        client.resume()
        wait_until(lambda: is_blocked(server.debuggee), "the program waits for its reader")
        assert int(status(server.process.pid, "VmRSS").split()[0]) < before + 4096
        client.interrupt()
        assert client.wait_stop().signal == SIGINT
        assert len(client.console) > 1 << 16


def is_blocked(pid: int) -> bool:
    """Whether it sleeps in write(2), and has turned up there with nothing written in between, for some looks."""
    looks = {(Path(f"/proc/{pid}/syscall").read_text()[:4], io(pid)) for _ in range(1000)}
    return len(looks) == 1 and looks.pop()[0].startswith("1 ")


def io(pid: int) -> str:
    return next(line for line in Path(f"/proc/{pid}/io").read_text().splitlines() if line.startswith("wchar"))


def test_output_of_before_a_stop_comes_before_it(serve: Callable[..., Server]) -> None:
    server = serve(*shell("echo before; kill -USR1 $$; echo after"), options=("--stdio=client",))
    with connected(server.address) as client:
        client.resume()
        assert client.wait_stop().signal == 30  # SIGUSR1, in GDB's numbers
        assert client.console == b"before\n"
        client.resume(b"vCont;C1e")
        assert client.wait_stop().kind == "X"
        assert client.console == b"before\n"


def test_the_next_client_gets_what_the_first_one_did_not(serve: Callable[..., Server]) -> None:
    server = serve("/usr/bin/seq", "100000", options=("--stdio=client",))
    with connected(server.address) as client:
        client.resume()
        client.interrupt()
        assert client.wait_stop().signal == SIGINT
        first = client.console
    assert first + run_to_its_end(server)[1] == b"".join(b"%d\n" % number for number in range(1, 100001))


def test_in_non_stop_output_is_the_servers(serve: Callable[..., Server]) -> None:
    server = serve(*shell("echo printed"), options=("--stdio=client",))
    with connected(server.address) as client:
        assert client.request(b"QNonStop:1") == b"OK"
        assert client.request(b"vCont;c") == b"OK"
        server.output.wait_for("printed")
        assert client.wait_notification().startswith(b"Stop:W00")
        assert client.console == b""


def test_in_non_stop_output_is_there_before_the_end_is_told() -> None:
    """Where both go the same way, as at a terminal."""
    joined = ["/bin/sh", "-c", 'exec "$@" >&2', "sh", *OURS]
    with (
        Server(joined, "--stdio=client", "localhost:0", "/usr/bin/seq", "5000") as server,
        connected(server.address) as client,
    ):
        assert client.request(b"QNonStop:1") == b"OK"
        assert client.request(b"vCont;c") == b"OK"
        assert client.wait_notification().startswith(b"Stop:W00")
        assert server.log.wait_for(r"(\d+)\s+Child exited")[1] == "5000"


def test_a_program_that_was_let_go_prints_on_the_servers_output(serve: Callable[..., Server]) -> None:
    server = serve("/usr/bin/seq", "20000", options=("--stdio=client", "--once"))
    with connected(server.address) as client:
        assert client.request(b"D") == b"OK"
    assert server.wait() == 0
    server.output.wait_for(r"^20000$")
    assert server.output.text == "".join(f"{number}\n" for number in range(1, 20001))


def test_every_run_has_the_client_for_its_output(serve: Callable[..., Server]) -> None:
    server = serve(options=("--multi", "--stdio=client"))
    with connected(server.address) as client:
        for word in (b"one", b"two"):
            assert client.request(b"vRun;" + b";".join(w.hex().encode() for w in (b"/bin/echo", word)))[:3] == b"T05"
            client.resume()
            assert client.wait_stop().kind == "W"
            assert client.console.endswith(word + b"\n")


def test_a_file_goes_before_the_client(serve: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "in").write_text("typed\n")
    options = ("--stdio=client", f"--stdin={tmp_path}/in", f"--stderr={tmp_path}/err")
    server = serve(*shell("read line; echo got $line; echo error >&2"), options=options)
    assert run_to_its_end(server)[1] == b"got typed\n"
    assert (tmp_path / "err").read_text() == "error\n"


# Files, and nowhere


def test_nowhere(serve: Callable[..., Server]) -> None:
    server = serve(
        *shell("echo lost; readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2 >&2"), options=("--stdio=null",)
    )
    with connected(server.address) as client:
        links = [os.readlink(f"/proc/{server.debuggee}/fd/{number}") for number in range(3)]
        assert links == ["/dev/null"] * 3
        client.resume()
        assert client.wait_stop().kind == "W"
    assert server.wait() == 0
    assert server.output.text == ""


def test_files(serve: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "in").write_text("typed\n")
    (tmp_path / "out").write_text("what was there before is overwritten")
    options = ("--stdio=files", f"--stdin={tmp_path}/in", f"--stdout={tmp_path}/out", f"--stderr={tmp_path}/out")
    server = serve(*shell("read line; echo got $line; echo error >&2; echo more"), options=options)
    assert run_to_its_end(server)[0].kind == "W"
    assert (tmp_path / "out").read_text() == "got typed\nerror\nmore\n"


def test_a_file_that_cannot_be_opened_is_named() -> None:
    result = subprocess.run(
        [*OURS, "--stdin=/no/such/file", "localhost:0", "/bin/true"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert result.returncode == 1
    assert "cannot open /no/such/file for the program: No such file or directory." in result.stderr


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


@pytest.mark.parametrize(("stream", "missing"), [("stdin", "writer"), ("stdout", "reader")])
def test_a_fifo_without_another_side_is_refused_and_the_server_serves_on(
    serve: Callable[..., Server], fifo: Path, stream: str, missing: str
) -> None:
    server = serve(options=("--multi", f"--{stream}={fifo}"))
    with RspClient.connect(server.address, DEADLINE) as client:
        client.supported("error-message+")
        refusal = client.request(b"vRun;" + b"/bin/true".hex().encode())
        assert f"it is a FIFO without a {missing}; start that first".encode() in refusal
        assert client.request(b"!") == b"OK"


def test_a_program_reads_a_fifo_to_its_end(serve: Callable[..., Server], fifo: Path) -> None:
    """Its writer has come first, and has written nothing yet."""
    with partner(*shell(f"exec >{fifo}; read go; echo written")) as writer:
        wait_until(lambda: waits_in_open(writer.pid), "the writer waits for a reader")
        server = serve("/bin/cat", options=("--stdio=client", f"--stdin={fifo}"))
        writer.communicate(b"go\n", DEADLINE)
        assert run_to_its_end(server)[1] == b"written\n"


def test_a_program_writes_to_a_fifo(serve: Callable[..., Server], fifo: Path) -> None:
    """More than there is room for: it waits, as for any reader."""
    with partner("/bin/cat", str(fifo)) as reader:
        wait_until(lambda: waits_in_open(reader.pid), "the reader waits for a writer")
        server = serve("/usr/bin/seq", "100000", options=(f"--stdout={fifo}",))
        with connected(server.address) as client:
            client.resume()
            output = reader.communicate(timeout=DEADLINE)[0]
            assert client.wait_stop().kind == "W"
        assert output == b"".join(b"%d\n" % number for number in range(1, 100001))


@contextmanager
def partner(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Who has the other side of a FIFO."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def waits_in_open(pid: int) -> bool:
    """Whether it is in openat(2), and asleep."""
    return status(pid, "State").startswith("S") and Path(f"/proc/{pid}/syscall").read_text().startswith("257 ")


# Terminals


class Screen:
    """A server at a terminal of its own: what is printed there, and what is typed."""

    def __init__(self, *arguments: str, size: tuple[int, int] = (24, 80)) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            termios.tcsetwinsize(0, size)
            os.execvpe(OURS[0], [*OURS, *arguments], {**os.environ, "PYTHONPATH": str(SOURCE)})
        self._text = ""

    def close(self) -> None:
        if not is_gone(self.pid):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first match; what comes before it is forgotten."""
        while not (match := re.search(pattern, self._text)):
            assert select.select([self.master], [], [], DEADLINE)[0], self._text
            self._text += os.read(self.master, 4096).decode()
        self._text = self._text[match.end() :]
        return match

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait_end(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def address(self) -> str:
        return "localhost:" + self.wait_for(r"Listening on port (\d+)\r\n")[1]


@contextmanager
def screen(*arguments: str) -> Iterator[tuple[Screen, RspClient]]:
    with closing(Screen(*arguments)) as found, connected(found.address()) as client:
        yield found, client


READER = shell("while read line; do echo got $line; done; echo end")


@pytest.mark.parametrize("stdio", ["inherit", "pty"])
def test_the_program_reads_the_terminal_also_after_stops(stdio: str) -> None:
    """It never gets SIGTTIN, and ^C stops it and not the server, as at a shell."""
    with screen(f"--stdio={stdio}", "localhost:0", *READER) as (terminal, client):
        client.resume()
        terminal.type(b"one\n")
        terminal.wait_for("got one\r\n")
        client.interrupt()
        assert client.wait_stop().signal == SIGINT
        terminal.type(b"two\n")
        client.resume()
        terminal.wait_for("got two\r\n")
        terminal.type(b"\x03")
        assert client.wait_stop().signal == SIGINT
        client.resume()
        terminal.type(b"three\n\x04")
        terminal.wait_for("got three\r\nend\r\n")
        assert client.wait_stop().kind == "W"
        client.close()
        assert terminal.wait_end() == 0


@pytest.mark.parametrize("stdio", ["inherit", "pty"])
def test_a_step_of_a_program_that_reads_the_terminal(stdio: str) -> None:
    """A step interrupts the system call in which it sleeps, and nothing else happens."""
    with screen(f"--stdio={stdio}", "localhost:0", *READER) as (terminal, client):
        client.resume()
        terminal.type(b"one\n")
        terminal.wait_for("got one\r\n")
        client.interrupt()
        assert client.wait_stop().signal == SIGINT
        client.resume(b"vCont;s")
        terminal.type(b"two\n")
        assert client.wait_stop().signal == SIGTRAP
        client.resume()
        terminal.wait_for("got two\r\n")


def test_a_terminal_of_its_own_has_the_size_of_ours_and_one_echo() -> None:
    script = "tty; stty size; read line; echo got $line"
    with closing(Screen("--stdio=pty", "localhost:0", *shell(script), size=(40, 132))) as terminal:
        with connected(terminal.address()) as client:
            client.resume()
            name = terminal.wait_for(r"(/dev/pts/\d+)\r\n")[1]
            assert name != os.readlink(f"/proc/{terminal.pid}/fd/0")
            terminal.wait_for("40 132\r\n")
            terminal.type(b"typed\n")
            assert terminal.wait_for("(?s).*got typed\r\n")[0].count("typed") == 2
            assert client.wait_stop().kind == "W"
        assert terminal.wait_end() == 0


def test_our_terminal_is_as_before_when_the_server_has_ended() -> None:
    with closing(Screen("--stdio=pty", "--multi", "localhost:0")) as terminal:
        before = termios.tcgetattr(terminal.master)
        terminal.address()
        wait_until(lambda: not termios.tcgetattr(terminal.master)[3] & termios.ICANON, "every key is passed on")
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait_end() == 0
        assert termios.tcgetattr(terminal.master) == before


def test_without_a_program_the_interrupt_key_ends_the_server() -> None:
    with closing(Screen("--stdio=pty", "--multi", "localhost:0")) as terminal:
        terminal.address()
        wait_until(lambda: not termios.tcgetattr(terminal.master)[3] & termios.ICANON, "every key is passed on")
        terminal.type(b"\x03")
        assert terminal.wait_end() == 0


def test_a_terminal_of_its_own_for_every_run(serve: Callable[..., Server]) -> None:
    """It controls the session that the program leads, and what it prints appears on the server's output."""
    server = serve(options=("--multi", "--stdio=pty"))
    script = "tty; echo session $(cut -d' ' -f6 /proc/$$/stat) of $$; exec 3</dev/tty && echo controlled"
    with connected(server.address) as client:
        for _ in range(2):
            words = b";".join(word.encode().hex().encode() for word in shell(script))
            assert client.request(b"vRun;" + words)[:3] == b"T05"
            client.resume()
            assert client.wait_stop().kind == "W"
            assert client.console == b""
    match = server.output.wait_for(
        r"(/dev/pts/\d+\r\n)session (\d+) of \2\r\ncontrolled\r\n\1session (\d+) of \3\r\ncontrolled\r\n"
    )
    assert match[2] != match[3]


# A terminal in the client's hands


IN_HAND = ("--stdio=client-pty",)


def test_what_is_typed_at_the_client_goes_to_the_program(serve: Callable[..., Server]) -> None:
    """As to any terminal: it comes back as an echo, which is the kernel's and has no order with what programs print,
    and lines end with CR LF."""
    with connected(serve(*shell("stty size; read line; echo read $line"), options=IN_HAND).address) as client:
        assert client.request(b"QPassSignals:14;1c") == b"OK"  # SIGWINCH, too
        assert client.request(b"QSetSTDIOWindowSize:cols=132;rows=43") == b"OK"
        assert client.request(b"I" + b"a line\n".hex().encode()) == b"OK"
        client.resume()
        assert client.wait_stop().kind == "W"
        echo_and_size, *rest = client.console.rsplit(b"\r\n", 2)
        assert sorted(echo_and_size.split(b"\r\n")) == [b"43 132", b"a line"]
        assert rest == [b"read a line", b""]


def test_what_finds_no_room_in_the_terminal_waits(serve: Callable[..., Server]) -> None:
    """The system keeps some kilobytes of it; the server neither loses the rest nor waits for it itself."""
    lines = [b"%060d\n" % number for number in range(4000)]
    with connected(serve("/usr/bin/md5sum", options=IN_HAND).address) as client:
        for first in range(0, len(lines), 100):
            assert client.request(b"I" + b"".join(lines[first : first + 100]).hex().encode()) == b"OK"
        assert client.request(b"?")[:1] == b"T"
        assert client.request(b"I" + b"\x04".hex().encode()) == b"OK"
        client.resume()
        assert client.wait_stop(DEADLINE).kind == "W"
        digest = hashlib.md5(b"".join(lines), usedforsecurity=False).hexdigest()
        assert client.console.endswith(f"{digest}  -\r\n".encode())


def test_what_nobody_ever_reads_is_refused_as_a_whole(serve: Callable[..., Server]) -> None:
    line = b"I" + (b"x" * 60 + b"\n").hex().encode() * 5000
    server = serve("/bin/sleep", "1000", options=IN_HAND)
    with connected(server.address) as client:
        replies = [client.request(line) for _ in range(6)]
        assert [replies[0], replies[-1]] == [b"OK", b"E16"]
        assert client.request(f"vKill;{server.debuggee:x}".encode()) == b"OK"


def test_children_outlive_their_parent_on_a_terminal_in_hand(serve: Callable[..., Server], tmp_path: Path) -> None:
    """Whoever leads a terminal's session takes all others there along; lldb-server's programs do not lead one."""
    done = tmp_path / "done"
    script = f"(sleep 0.3; echo lived > {done}) & exit 0"
    with connected(serve(*shell(script), options=IN_HAND).address) as client:
        client.resume()
        assert client.wait_stop().kind == "W"
        wait_until(lambda: done.exists() and done.read_text() == "lived\n", "the child has lived on")


def test_a_program_with_all_streams_elsewhere_prints_nothing_here(tmp_path: Path) -> None:
    out = tmp_path / "out"
    files = (f"--stdin={os.devnull}", f"--stdout={out}", f"--stderr={out}")
    with Server(OURS, *IN_HAND, *files, "localhost:0", *shell("tty </dev/tty || echo no terminal")) as server:
        stop, console = run_to_its_end(server)
    assert (stop.status, console) == (0, b"")
    assert out.read_text().endswith("no terminal\n")
