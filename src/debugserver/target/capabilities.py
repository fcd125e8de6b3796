"""What a target may be able to do, one small abstract class an ability.

`stub` asks `target.capability(Memory)` once a session; what is absent is neither served nor advertised. Text is str,
addresses and lengths are integers in bytes, register values are bytes in the target's order. Every method may raise
TargetError; NoSuchProcess and NoSuchThread for ids that are gone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from debugserver.errors import AttachRefused
from debugserver.target.conditions import UNCONDITIONAL

if TYPE_CHECKING:
    from debugserver.target.conditions import BreakpointProgram
    from debugserver.target.model import (
        Action,
        CommandResult,
        Event,
        FileStatus,
        HostDescription,
        LaunchSettings,
        Libraries,
        ModuleDetails,
        ProcessDetails,
        ProcessExit,
        Region,
        ServerAddress,
        Stop,
        StopReason,
        ThreadId,
        WatchKind,
    )


class Registers(ABC):
    """The register file of a stopped thread, laid out as its Architecture says."""

    @abstractmethod
    def read_registers(self, thread: ThreadId) -> bytes:
        """The whole file, `architecture.register_file_size` bytes."""

    @abstractmethod
    def write_registers(self, thread: ThreadId, data: bytes) -> None:
        """Replace the whole file; `data` has exactly its size."""

    @abstractmethod
    def read_register(self, thread: ThreadId, number: int) -> bytes:
        """One register, by its number in the architecture."""

    @abstractmethod
    def write_register(self, thread: ThreadId, number: int, value: bytes) -> None:
        """Replace one register; `value` has exactly its size."""

    def read_several(self, thread: ThreadId, numbers: Sequence[int]) -> bytes:
        """The values of `numbers`, one after the other."""
        return b"".join([self.read_register(thread, number) for number in numbers])


class RegisterState(ABC):
    """Keeping where a stopped thread stands, so that it can run something else and then go on."""

    @abstractmethod
    def save_state(self, thread: ThreadId) -> object:
        """Its state, for `restore_state`. From now on it is in no system call that would be restarted."""

    @abstractmethod
    def restore_state(self, thread: ThreadId, state: object) -> None:
        """Put it back to where it stood, in the middle of its system call if it was in one."""


class Memory(ABC):
    """The memory of a process. Breakpoint instructions that the target inserted are never seen and never
    overwritten."""

    @abstractmethod
    def read_memory(self, pid: int, address: int, length: int) -> bytes:
        """Up to `length` bytes: what is readable from `address` on. MemoryFault if not even one byte is."""

    @abstractmethod
    def write_memory(self, pid: int, address: int, data: bytes) -> None:
        """Write all of `data`, or raise MemoryFault."""


class Allocation(ABC):
    """New memory in a process, for a client's own use. A process that is let go has none of it."""

    @abstractmethod
    def allocate(self, pid: int, size: int, permissions: str) -> int:
        """The address of `size` bytes of zeros that may be accessed as `permissions`, letters of "rwx", say."""

    @abstractmethod
    def deallocate(self, pid: int, address: int) -> None:
        """Give back what `allocate` gave."""

    @abstractmethod
    def clear_allocations(self) -> None:
        """Give back all, of every process: the client is gone."""


class MemoryMap(ABC):
    """What is mapped in a process."""

    @abstractmethod
    def regions(self, pid: int) -> Sequence[Region]:
        """All mappings, by address. None overlap."""


class Execution(ABC):
    """Running and stopping. Always non-stop: each thread is resumed and stopped on its own.

    A thread that the client sees as stopped stays so until `resume`. What happens to a resumed thread comes out of
    `next_event`, once; the thread is stopped from then on.
    """

    wakeup: int | None = None
    """A descriptor that becomes readable when `next_event` may have news; None: ask all the time while running."""

    @abstractmethod
    def resume(self, actions: Mapping[ThreadId, Action]) -> None:
        """Resume these threads. Ones that already run, or are gone, are left alone."""

    @abstractmethod
    def next_event(self) -> Event | None:
        """The next event of a resumed thread, or None at once. A target without `wakeup` runs for some ms in here."""

    def next_end(self) -> Event | None:
        """The next end of a process, or None at once; stops stay with their threads until `next_event`."""
        return None

    def give_back(self, stops: Sequence[Stop]) -> None:  # noqa: B027 - of a single thread, `last_stop` says it all
        """Stops that `next_event` returned and the client was not told of: they wait again until their threads are
        resumed. Not so the end of a step, a halt, and what a thread that was resumed since had stopped for."""

    @abstractmethod
    def wait(self, milliseconds: int) -> None:
        """Return as soon as `next_event` may have news, at the latest after this time."""

    @abstractmethod
    def halt(self, threads: Iterable[ThreadId]) -> None:
        """Ask running threads to stop; each reports a Stop (HALTED, unless something else happened first)."""

    def halt_any(self, threads: Sequence[ThreadId]) -> None:
        """Ask one of these running threads to stop, the first that can."""
        self.halt(threads[:1])

    @abstractmethod
    def halt_all(self, pid: int | None = None) -> None:
        """Stop every thread, of all processes or of this one, before returning. None reports; what had happened
        meanwhile is reported once resumed."""

    def take_stops(self) -> Sequence[Stop]:
        """The stops that happened before `halt_all` and wait until their threads are resumed: they are told now, all
        at once, as `last_stop` says from now on. A birth, an exec or a system call still waits."""
        return ()

    @abstractmethod
    def running(self, thread: ThreadId) -> bool:
        """Whether the client resumed the thread and has not been told of a stop since."""

    def ending(self, pid: int) -> bool:
        """Whether a process of which nothing was resumed is about to report its end all the same: it was killed."""
        return False

    @abstractmethod
    def last_stop(self, thread: ThreadId) -> Stop:
        """Why a stopped thread stands where it stands; HALTED when nothing but a halt stopped it.

        A birth, an exec or a system call is told once and not again: such a stop is a plain SIGTRAP here."""

    def latest_stop(self) -> ThreadId | None:
        """The thread whose stop `next_event` returned last; it may be gone."""
        return None


class ProcessEvents(ABC):
    """Births and transformations of processes as stops of their own. Without it children run free, and an exec goes
    on."""

    @abstractmethod
    def report_events(self, reasons: frozenset[StopReason]) -> None:
        """Report exactly these from now on, of FORK, VFORK, VFORK_DONE and EXEC. A child reported is stopped, and
        debugged."""


class ThreadEvents(ABC):
    """Births and ends of threads as events of their own: of all, or of chosen threads."""

    @abstractmethod
    def report_all(self, enabled: bool) -> None:
        """Each new thread reports THREAD_CREATED, and each end is a wanted ThreadExit."""

    @abstractmethod
    def report_of(self, threads: Iterable[ThreadId], *, clones: bool, exits: bool) -> None:
        """What these threads do: a CLONE stops the thread, and its new one; an end is a wanted ThreadExit."""

    @abstractmethod
    def clear_thread_events(self) -> None:
        """Report none, of any thread: the client is gone."""


class SignalDelivery(ABC):
    """What becomes of signals without the client being asked."""

    @abstractmethod
    def pass_signals(self, numbers: frozenset[int]) -> None:
        """Deliver these without a stop, except to a thread that is stepped."""

    @abstractmethod
    def deliver_on_detach(self, numbers: frozenset[int] | None) -> None:
        """A process that is let go gets these of the signals that stopped it; None: all but the debugger's own."""

    @abstractmethod
    def reset_delivery(self) -> None:
        """As if nothing had been said: the client is gone."""


class SystemCalls(ABC):
    """System calls as stops of their own, at entry and return."""

    @abstractmethod
    def catch_system_calls(self, pid: int, numbers: frozenset[int] | None) -> None:
        """Report these of the process; the empty set: all; None: none."""

    @abstractmethod
    def clear_caught(self) -> None:
        """Report none, of every process: the client is gone."""


class SoftwareBreakpoints(ABC):
    """Breakpoint instructions in memory."""

    @abstractmethod
    def insert_breakpoint(self, pid: int, address: int, kind: int, program: BreakpointProgram = UNCONDITIONAL) -> None:
        """Insert one; of a second one at the same address nothing counts but its program. A hit that the program does
        not report is none to anybody: the thread goes on with what it was resumed for."""

    @abstractmethod
    def remove_breakpoint(self, pid: int, address: int, kind: int) -> None:
        """Remove it; none there changes nothing."""

    @abstractmethod
    def clear_breakpoints(self) -> None:
        """Remove all, of every process: the client is gone."""


class Watchpoints(ABC):
    """Hardware slots: breakpoints and watchpoints."""

    @abstractmethod
    def watch_kinds(self) -> frozenset[WatchKind]:
        """What the hardware can do."""

    @abstractmethod
    def insert_watchpoint(
        self, pid: int, kind: WatchKind, address: int, length: int, program: BreakpointProgram = UNCONDITIONAL
    ) -> None:
        """Insert one; NoDebugRegister says how many there are and who has them. Of a second, equal one nothing counts
        but its program, which only a breakpoint (EXECUTE) may have."""

    @abstractmethod
    def remove_watchpoint(self, pid: int, kind: WatchKind, address: int, length: int) -> None:
        """Remove it; none there changes nothing."""

    @abstractmethod
    def watch_slots(self) -> int:
        """How many points of eight bytes there can be at a time."""

    @abstractmethod
    def clear_watchpoints(self) -> None:
        """Remove all, of every process."""


class Attach(ABC):
    """Taking hold of processes that exist."""

    @abstractmethod
    def attach(self, pid: int) -> ThreadId:
        """Attach; the thread that was stopped: the leader. All others run on until they are halted.
        AttachRefused says why not, and the remedy."""


class Detach(ABC):
    """Letting go."""

    @abstractmethod
    def detach(self, pid: int, *, stopped: bool = False) -> None:
        """Let the process run on, as if it had never been debugged; `stopped`: let it stand until SIGCONT. One that
        `Unattended.stays` runs on, too, but unattended."""


class Unattended(ABC):
    """Processes that were let go, all but for breakpoints whose commands persist. No client sees them; signals pass to
    them, and their children go free. Without it, all commands end when their process is let go."""

    @abstractmethod
    def stays(self, pid: int) -> bool:
        """Whether the process has such breakpoints: `detach` will leave it unattended."""

    @abstractmethod
    def unattended(self) -> Sequence[int]:
        """Their pids."""

    @abstractmethod
    def take_back(self) -> None:
        """A client is there, or the server ends: they are processes like any other again, and run. Their breakpoints
        stay until a client resumes them, which has put in by then what it wants."""

    @abstractmethod
    def look_after(self) -> None:
        """Take in what has happened to them. While a client is served, `next_event` does it."""

    @abstractmethod
    def take_ends(self) -> Sequence[ProcessExit]:
        """The ends of those that have ended since the last call."""


class Kill(ABC):
    """Ending processes."""

    @abstractmethod
    def kill(self, pid: int) -> None:
        """End the process before returning; it reports nothing more."""


class Launch(ABC):
    """Starting programs."""

    @abstractmethod
    def launch_settings(self) -> LaunchSettings:
        """A copy of the defaults: the command line's program and the server's environment."""

    @abstractmethod
    def launch(self, settings: LaunchSettings) -> ThreadId:
        """Start the program, stopped before its first instruction. LaunchFailed says why not, and the remedy."""


class ProgramOutput(ABC):
    """What programs that are started here print, caught on its way. Whoever does not read makes them wait."""

    @property
    @abstractmethod
    def descriptor(self) -> int:
        """Readable when there is some; never closed before the target is."""

    @abstractmethod
    def read_output(self) -> bytes:
        """The next piece, at most a few kilobytes; empty if there is none now."""


class ProgramInput(ABC):
    """The keyboard of programs that are started here, in the client's hands."""

    @property
    @abstractmethod
    def descriptor(self) -> int:
        """Writable when there is room for what `waits`; never closed before the target is."""

    @property
    @abstractmethod
    def waits(self) -> bool:
        """Whether something that was typed waits for programs to read what came before."""

    @abstractmethod
    def write_input(self, data: bytes) -> None:
        """What was typed; it may have to wait. TargetError if too much waits already: then nothing of it counts."""

    @abstractmethod
    def write_waiting(self) -> None:
        """Pass on what waits, as far as there is room."""

    @abstractmethod
    def resize(self, columns: int, rows: int) -> None:
        """The window that programs see is that large, in characters."""


class ThreadNames(ABC):
    """What the system knows of a thread."""

    @abstractmethod
    def thread_name(self, thread: ThreadId) -> str:
        """Its name."""

    def thread_handle(self, thread: ThreadId) -> bytes:
        """What the thread library calls it (pthread_t), in the target's byte order; empty if it is not known."""
        return b""

    @abstractmethod
    def thread_core(self, thread: ThreadId) -> int | None:
        """The CPU that it last ran on."""

    def name_and_core(self, thread: ThreadId) -> tuple[str, int | None]:
        """Both at once, which may cost no more than one of them."""
        return self.thread_name(thread), self.thread_core(thread)


class Auxv(ABC):
    """The auxiliary vector."""

    @abstractmethod
    def auxv(self, pid: int) -> bytes:
        """As the kernel laid it out."""


class ExecFile(ABC):
    """The program's file."""

    @abstractmethod
    def exec_file(self, pid: int) -> str:
        """Its absolute path."""


class LibraryList(ABC):
    """The dynamic loader's list of shared objects (SVR4)."""

    @abstractmethod
    def libraries(self, pid: int) -> Libraries:
        """What is loaded; empty as long as the loader has not set up its list."""

    @abstractmethod
    def libraries_from(self, pid: int, link_map: int, previous: int, namespace: int) -> Libraries:
        """The list from `link_map` on, whose predecessor is `previous`."""

    @abstractmethod
    def loader_pointer(self, pid: int) -> int:
        """Where the program keeps the pointer to its loader's list (the value of DT_DEBUG); 0: nowhere."""


class SignalInfo(ABC):
    """The siginfo of the signal that a thread stopped with."""

    @abstractmethod
    def read_siginfo(self, thread: ThreadId) -> bytes:
        """The whole structure."""

    def signal_cause(self, thread: ThreadId, number: int) -> str:
        """What caused the signal of this number that the thread stopped with, in words; empty if that is not known."""
        return ""

    @abstractmethod
    def write_siginfo(self, thread: ThreadId, data: bytes) -> None:
        """Replace the whole structure."""


class CoreFiles(ABC):
    """Images of processes in files."""

    @abstractmethod
    def write_core(self, thread: ThreadId, path: str) -> Generator[None, None, str]:
        """Write an ELF core file of a stopped process, this thread first; yields every few milliseconds. Its path is
        the one given if that is free, and another one if not: no file is overwritten."""

    @abstractmethod
    def forget_cores(self) -> None:
        """Remove those that have another path than was given: the client, which has fetched them, is gone."""


class ThreadLocalStorage(ABC):
    """Where a thread keeps its copy of a variable."""

    @abstractmethod
    def thread_local_address(self, thread: ThreadId, offset: int, link_map: int) -> int:
        """The address of `offset` in the thread's block of the object with that link map (0: the program)."""


class OperatingSystem(ABC):
    """Tables about the whole system (`info os`)."""

    @abstractmethod
    def table_names(self) -> Mapping[str, str]:
        """Name -> what it lists."""

    @abstractmethod
    def table(self, name: str) -> Iterable[Mapping[str, str]]:
        """The rows: column -> text, columns in order."""


class HostSystem(ABC):
    """The system that processes run on, and who runs there, debugged or not."""

    @abstractmethod
    def describe_host(self) -> HostDescription:
        """What it is."""

    @abstractmethod
    def process_details(self, pid: int) -> ProcessDetails:
        """NoSuchProcess."""

    @abstractmethod
    def running_processes(self, all_users: bool = True) -> Iterator[ProcessDetails]:
        """Those that could be attached to: not the server itself, no zombies, none that is traced. Unless `all_users`,
        only the server's user's; root's server sees all in any case."""

    @abstractmethod
    def named(self, name: str) -> list[int]:
        """The pids of those of them whose program has this name, or this path if it has a slash."""

    def the_one_named(self, name: str) -> int:
        """The pid of the only one with that name. AttachRefused."""
        pids = self.named(name)
        if not pids:
            raise AttachRefused(f"no process is called {name}")
        if len(pids) > 1:
            raise AttachRefused(f"processes {', '.join(map(str, pids))} are called {name}", "name one by its pid")
        return pids[0]

    @abstractmethod
    def working_directory(self) -> str:
        """The server's own: where programs are started unless somebody wishes otherwise."""

    @abstractmethod
    def user_name(self, uid: int) -> str | None:
        """None if the system knows none."""

    @abstractmethod
    def group_name(self, gid: int) -> str | None:
        """None if the system knows none."""

    @abstractmethod
    def module_details(self, path: str) -> ModuleDetails:
        """Of an ELF file. TargetError for anything else."""


class HostFiles(ABC):
    """Files of the target's system. Failures raise OSError, whose errno the client is told; flags and modes are the
    host's."""

    @abstractmethod
    def select_filesystem(self, pid: int) -> None:
        """From now on, paths are those that process `pid` sees; 0: those that the server sees."""

    @abstractmethod
    def open(self, path: str, flags: int, mode: int) -> int:
        """A descriptor."""

    @abstractmethod
    def close(self, descriptor: int) -> None:
        """Close a descriptor that `open` gave."""

    @abstractmethod
    def close_all(self) -> None:
        """Close what is still open, and see the server's own file system again: the client is gone."""

    @abstractmethod
    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """pread(2)."""

    @abstractmethod
    def write(self, descriptor: int, offset: int, data: bytes) -> int:
        """pwrite(2)."""

    @abstractmethod
    def status(self, descriptor: int) -> FileStatus:
        """fstat(2)."""

    @abstractmethod
    def path_status(self, path: str, follow: bool) -> FileStatus:
        """stat(2), or lstat(2) unless `follow`."""

    @abstractmethod
    def unlink(self, path: str) -> None:
        """unlink(2)."""

    @abstractmethod
    def read_link(self, path: str) -> str:
        """readlink(2)."""

    @abstractmethod
    def link(self, target: str, path: str) -> None:
        """symlink(2): `path` leads to `target`."""

    @abstractmethod
    def make_directory(self, path: str, mode: int) -> None:
        """mkdir(2)."""

    @abstractmethod
    def change_mode(self, path: str, mode: int) -> None:
        """chmod(2)."""

    @abstractmethod
    def entries(self, path: str) -> Iterable[tuple[str, bool]]:
        """What is in a directory, in any order: (name, whether it is or leads to a directory)."""


class WorkingDirectory(ABC):
    """A system where a client goes from directory to directory, as at a shell: what paths without a slash in front
    mean, and where programs are started."""

    @abstractmethod
    def change_directory(self, path: str) -> None:
        """chdir(2)."""


class DebugServers(ABC):
    """Debug servers for one program each, which a client asks for and then connects to."""

    @abstractmethod
    def start_server(self, port: int) -> ServerAddress:
        """One that listens at this port; 0: any that is allowed."""

    @abstractmethod
    def waiting_server(self) -> ServerAddress | None:
        """One that has a program already, and waits for a client."""

    @abstractmethod
    def kill_spawned(self, pid: int) -> None:
        """End a debug server, or a program, that was started here. NoSuchProcess for any other process."""


Running = Generator[float | None, None, "CommandResult"]


class HostShell(ABC):
    """Commands of the system's shell."""

    @abstractmethod
    def run_command(self, command: str, directory: str, timeout: float | None) -> Running:
        """Run it to its end; yields the seconds until it is worth to look again (None: at once). TargetError: not
        allowed, or not within `timeout` seconds."""
