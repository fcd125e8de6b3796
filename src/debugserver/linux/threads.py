"""The state of the processes and threads that are traced. Only data: what moves it is `execution`.

Two kinds of "running" are kept apart: `stopped` is the kernel's view (in a ptrace-stop or not), `resumed` the
client's (told to run and not reported since). A resumed thread may be stopped for a while for our own purposes; a
thread that is not resumed never runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from debugserver.linux.watchpoints import WatchpointTable
from debugserver.target.model import Action, ActionKind, Stop, StopReason, ThreadId

if TYPE_CHECKING:
    from collections.abc import Callable

    from debugserver.arch.architecture import Architecture
    from debugserver.linux.breakpoints import BreakpointTable
    from debugserver.linux.memory import MemoryFile
    from debugserver.target.conditions import BreakpointProgram


class LinuxThread:
    """One traced thread."""

    __slots__ = (
        "action",
        "announced",
        "banks",
        "computed",
        "debug_registers",
        "dirty_banks",
        "event",
        "exec_path",
        "group",
        "group_stopped",
        "halt_reported",
        "halting",
        "id",
        "in_system_call",
        "in_vfork",
        "last_stop",
        "passed",
        "passing",
        "process",
        "range_stops",
        "reported",
        "reports_clones",
        "reports_exit",
        "resumed",
        "signal",
        "signal_stop",
        "stop_signal",
        "stopped",
        "tid",
        "trap_code",
    )

    def __init__(self, process: LinuxProcess, tid: int) -> None:
        self.process = process
        self.tid = tid
        self.id = ThreadId(process.pid, tid)
        self.group = process.pid
        """Its thread group: where /proc has it. A clone may be one of its own, and outlive the process."""
        self.stopped = False
        self.resumed = False
        self.halting = False
        """A PTRACE_INTERRUPT is under way; any stop ends it."""
        self.halt_reported = False
        """The client asked for that halt and wants to hear of it."""
        self.action = Action(ActionKind.CONTINUE)
        """What the client wanted when it last resumed the thread."""
        self.event: Stop | None = None
        """What happened and was not reported yet; the thread is stopped by it."""
        self.last_stop = Stop(self.id, 0, StopReason.HALTED)
        self.reported: Stop | None = None
        """The event that was reported when it last stopped; None once the client has resumed it."""
        self.signal = 0
        """Delivered when it next runs."""
        self.signal_stop = False
        """It stopped with a signal on its way, the one place where another one can be put in its stead."""
        self.stop_signal = 0
        """The signal on its way that nobody but the program is to get. 0: none, or one of the debugger's own."""
        self.trap_code = 0
        """si_code of the SIGTRAP that stopped it."""
        self.announced = True
        """Whether clients know of it: a clone that is reported is hidden until they have been told of its birth."""
        self.passing: list[int] = []
        """Signals that we sent ourselves, to a thread in no place to be given one: they pass unreported."""
        self.passed: tuple[BreakpointProgram, int] | None = None
        """A breakpoint whose commands have been run, by its program, and the stack pointer there. It was not stepped
        over yet, and the next hit is the same one."""
        self.range_stops: frozenset[int] = frozenset()
        """Where breakpoints of our own are, while it runs through the range of its action."""
        self.reports_clones = False
        self.reports_exit = False
        self.group_stopped = False
        """Job control stopped it; it stays so until SIGCONT or the client's next resume."""
        self.in_system_call = False
        """It stands in the middle of a system call, at an event: its registers do not say yet where it goes on."""
        self.in_vfork = False
        """It waits in the kernel for its vfork child and cannot be stopped."""
        self.exec_path = ""
        """It has just become this program; reported once it is out of the system call."""
        self.computed = 0
        """Steps that were computed since it last ran."""
        self.banks: dict[int, bytearray] = {}
        self.dirty_banks: set[int] = set()
        self.debug_registers: tuple[int, ...] | None = None
        """What its debug registers hold: addresses and control; None: nothing was ever set."""

    def let_run(self) -> None:
        """It runs from now on, and nobody hears of what it had to report."""
        self.event = self.reported = None
        self.action = Action(ActionKind.CONTINUE)
        self.resumed = True

    @property
    def stepping(self) -> bool:
        """Whether it is to stop after an instruction."""
        return self.action.kind is not ActionKind.CONTINUE


class LinuxProcess:
    """One traced process."""

    __slots__ = (
        "allocations",
        "announced",
        "architecture",
        "at_end",
        "attached",
        "breakpoints",
        "by_vfork",
        "caught_system_calls",
        "execs_to_come",
        "executable",
        "guest_of",
        "inherited",
        "keeps_job_stop",
        "memory",
        "pid",
        "scratch",
        "threads",
        "watchpoints",
    )

    def __init__(
        self,
        pid: int,
        memory: MemoryFile,
        breakpoints: BreakpointTable,
        *,
        attached: bool,
        guest_of: LinuxProcess | None = None,
    ) -> None:
        self.pid = pid
        self.attached = attached
        self.guest_of = guest_of
        """The parent whose memory this child shares (vfork); it is only followed until it leaves that memory."""
        self.by_vfork = False
        """Its parent waits until it has left the memory that they share."""
        self.announced = True
        """Whether clients know of it, or would be told: a child is hidden until they have been told of its birth, and
        an unattended process until one comes."""
        self.inherited: frozenset[BreakpointProgram] = frozenset()
        """Of breakpoints that an earlier client left, and that go when one resumes it."""
        self.memory = memory
        self.breakpoints = breakpoints
        self.watchpoints = WatchpointTable()
        self.allocations: dict[int, int] = {}
        """Memory that clients had us map: address -> size. Those that share the memory share this."""
        self.threads: dict[int, LinuxThread] = {}
        self.caught_system_calls: frozenset[int] | None = None
        """Those that are reported; empty: all; None: none."""
        self.execs_to_come = 0
        """A program being started: the shell's and the wrapper's execs come before its own."""
        self.keeps_job_stop = True
        """Whether a job control stop lasts until SIGCONT. A client may resume the process regardless; to the kernel it
        is still stopped then, and says so at each interrupt, until another signal stops it anew."""
        self.architecture: Architecture | None = None
        """Known once its registers have been read."""
        self.executable: tuple[tuple[int, int], ...] | None = None
        """Where its memory can be executed, [start, end); None: not known since something ran."""
        self.scratch: int | None = None
        """Where one instruction can be run apart; 0: nowhere; None: not looked for yet."""
        self.at_end: Callable[[], None] = lambda: None
        """Called when it is gone, or let go."""

    def read(self, address: int, length: int) -> bytes:
        """Its memory without our breakpoints: what is readable from `address` on. MemoryFault if nothing is."""
        return self.breakpoints.hide(address, self.memory.read(address, length))

    def runs(self, but: LinuxThread | None = None) -> bool:
        """Whether the client counts any of its threads as running; not counting `but`."""
        for thread in self.threads.values():  # noqa: SIM110 - asked for every step: a generator costs more
            if thread.resumed and thread is not but:
                return True
        return False

    def catches(self, system_call: int) -> bool:
        """Whether the client wants to be told of it."""
        caught = self.caught_system_calls
        return caught is not None and (not caught or system_call in caught)

    @property
    def is_guest(self) -> bool:
        """Whether clients are never to see it."""
        return self.guest_of is not None

    @property
    def is_private(self) -> bool:
        """Whether what happens in it is told to nobody: it is a guest, or a program on its way to be started."""
        return self.guest_of is not None or self.execs_to_come > 0

    @property
    def is_hidden(self) -> bool:
        """Whether clients do not see it now."""
        return self.guest_of is not None or not self.announced

    def add_thread(self, tid: int) -> LinuxThread:
        """A thread that we trace from now on; it counts as running until it reports."""
        thread = LinuxThread(self, tid)
        self.threads[tid] = thread
        return thread
