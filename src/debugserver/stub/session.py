"""What one client negotiated and chose. It dies with the connection; what is true of the debuggee lives in the
target."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from debugserver.errors import NoSuchProcess, NoSuchThread
from debugserver.rsp import signals, thread_id
from debugserver.stub.registry import Dialect
from debugserver.target.capabilities import Execution
from debugserver.target.model import ThreadId

if TYPE_CHECKING:
    from debugserver.arch.architecture import Architecture
    from debugserver.rsp.thread_id import ThreadSelector
    from debugserver.stub.handlers.xfer import Transfer
    from debugserver.stub.registry import Reply, Table
    from debugserver.stub.settings import OnDisconnect, Settings
    from debugserver.stub.stops import Stops
    from debugserver.target.capabilities import Launch
    from debugserver.target.model import LaunchSettings, ProcessDetails
    from debugserver.target.target import Target


class Session:
    """The state of one conversation; handlers get it as their first argument."""

    def __init__(self, target: Target, table: Table, settings: Settings) -> None:
        self.target = target
        self.table = table
        self.settings = settings
        self.dialect = Dialect.LLDB
        """Until `qSupported` says otherwise: the smaller set of extensions."""
        self.client_features: dict[str, str | bool] = {}
        self.multiprocess = False
        self.acknowledge = True
        self.error_strings = False
        """Errors carry LLDB's form of a sentence (QEnableErrorStrings)."""
        self.thread_suffix = False
        """The client names threads behind the arguments of packets (QThreadSuffixSupported): only LLDB asks for it."""
        self.lists_threads = False
        """Stop replies list all threads (QListThreadsInStopReply)."""
        self.non_stop = False
        self.reads_descriptions = True
        """Whether the client takes the target description; one that does not assumes fewer registers."""
        self.general_thread: ThreadId | None = None
        """Chosen by Hg: registers and memory."""
        self.continue_thread: ThreadId | None = None
        """Chosen by Hc: old-style steps; None: all."""
        self.last_architecture: Architecture | None = None
        """Of the process of which a stop was told last."""
        self.newest_process = 0
        """Started or attached to last: the one that ^C stops, if several run, as with GNU gdbserver."""
        self.launch_settings: LaunchSettings | None = None
        self.has_own_environment = False
        """Whether the client has said what the environment of programs is."""
        self.launch_failure = ""
        """Why the last program was not started (`A`)."""
        self.on_disconnect: OnDisconnect | None = None
        """What becomes of the processes if the client just goes away; None: what the user wants."""
        self.thread_list_started = False
        self.process_list: Iterator[ProcessDetails] = iter(())
        """What is left of the system's processes that a client goes through."""
        self.transfer: Transfer | None = None
        """The object that a client reads in chunks."""
        self.saved_states: dict[int, tuple[ThreadId, object]] = {}
        """What QSaveRegisterState kept and nobody has restored yet."""
        self.state_numbers = count(1)
        self.ended = False
        """The client asked for the end of the connection, or of the server."""
        self.console: Callable[[bytes], None] = lambda text: None
        """Sends text to the client's console, as an `O` packet."""
        self.print: Callable[[bytes], None] = settings.print
        """Prints what breakpoints' commands have to say. They may outlive the session, and ask for it each time."""
        self.flush_output: Callable[[], None] = lambda: None
        """Sends all that programs have printed; for a client that waits for a stop reply, which comes next."""
        self.answer: Callable[[bytes], Reply]
        """Answers one packet more, for packets that hold others. Set by the stub that owns both."""
        self.next_output: Callable[[], bytes] = lambda: b"OK"
        """The reply of a non-stop client's vStdio."""
        self.stops: Stops
        """Set by the stub that owns both."""

    @property
    def is_lldb(self) -> bool:
        """Whether the client is LLDB beyond doubt: suffixes are agreed on, or it takes us for lldb-server."""
        return self.thread_suffix or (self.settings.stands_for_lldb_server and self.dialect is Dialect.LLDB)

    @property
    def native_signals(self) -> bool:
        """Whether signals travel by the system's own numbers: LLDB takes them for such."""
        return self.is_lldb or self.offers("native-signals")

    def encode_signal(self, number: int) -> int:
        """The client's number for one of the system's signals."""
        return number if self.native_signals else signals.to_gdb(number)

    def decode_signal(self, number: int) -> int:
        """The system's number for one of the client's; MalformedPacket if there is no such signal."""
        return signals.native(number) if self.native_signals else signals.from_gdb(number)

    def offers(self, feature: str) -> bool:
        """Whether the client's qSupported list has `feature+`."""
        return self.client_features.get(feature) is True

    @contextmanager
    def speaking_of(self, selector: bytes) -> Iterator[None]:
        """For one packet, the thread with this id is the chosen one. NoSuchThread."""
        chosen = self.general_thread
        self.general_thread = self.select(thread_id.parse(selector))
        try:
            yield
        finally:
            self.general_thread = chosen

    def thread(self) -> ThreadId:
        """The thread that registers are read of; picks one if none is chosen. NoSuchProcess, NoSuchThread."""
        if self.general_thread is None:
            self.general_thread = self.any_thread()
        return self.general_thread

    def settings_for_launch(self, launcher: Launch) -> LaunchSettings:
        """What this client wants programs to be started with; begins as the server's defaults."""
        if self.launch_settings is None:
            self.launch_settings = launcher.launch_settings()
        return self.launch_settings

    def forget_process(self, pid: int) -> None:
        """The process is gone: its threads are chosen no more."""
        if self.general_thread and self.general_thread.pid == pid:
            self.general_thread = None
        if self.continue_thread and self.continue_thread.pid == pid:
            self.continue_thread = None

    def any_thread(self, pid: int | None = None) -> ThreadId:
        """Some live thread, of this process or of any: the current one if it will do, or the one that stopped last."""
        execution = self.target.capability(Execution)
        for thread in (self.general_thread, execution.latest_stop() if execution else None):
            if thread and pid in (None, thread.pid) and self.target.has_thread(thread):
                return thread
        for process in self.target.processes() if pid is None else (pid,):
            for thread in self.target.threads(process):
                return thread
        raise NoSuchProcess

    def process(self) -> int:
        """The pid of the process that memory is read of."""
        return self.thread().pid

    def register_file_size(self, architecture: Architecture) -> int:
        """How much of the register file this client knows."""
        return architecture.register_file_size if self.reads_descriptions else architecture.assumed_size

    def any_architecture(self) -> Architecture:
        """That of the chosen thread's process, or if it is gone of the first one, or of what stopped last.
        NoSuchProcess."""
        chosen = self.general_thread
        if chosen is not None and self.target.has_process(chosen.pid):
            return self.target.architecture(chosen.pid)
        if self.target.has_process():
            return self.target.architecture(self.target.processes()[0])
        if self.last_architecture is None:
            raise NoSuchProcess(number=errno.ENOENT)
        return self.last_architecture

    def architecture(self) -> Architecture:
        """What the chosen thread's registers are."""
        return self.target.architecture(self.process())

    def select(self, selector: ThreadSelector) -> ThreadId:
        """The live thread that a packet names; ANY and ALL pick one. NoSuchThread."""
        if selector.tid > 0:
            return self.find(selector)
        pid = selector.pid if selector.pid is not None and selector.pid > 0 else None
        return self.any_thread(pid)

    def matching(self, selector: ThreadSelector) -> list[ThreadId]:
        """Every live thread that a packet's selector names."""
        every = (thread_id.ANY, thread_id.ALL)
        return [
            thread
            for pid in self.target.processes()
            if selector.pid in (None, *every, pid)
            for thread in self.target.threads(pid)
            if selector.tid in (*every, thread.tid)
        ]

    def find(self, selector: ThreadSelector) -> ThreadId:
        """The live thread with exactly this id. NoSuchProcess, NoSuchThread."""
        pids = self.target.processes() if selector.pid is None else (selector.pid,)
        for pid in pids:
            if self.target.has_thread(thread := ThreadId(pid, selector.tid)):
                return thread
        if selector.pid is not None and not self.target.has_process(selector.pid):
            raise NoSuchProcess(f"no process {selector.pid}")
        raise NoSuchThread(f"no thread {selector.tid}")

    def encode_thread(self, thread: ThreadId) -> bytes:
        """As this client wants to see it."""
        return thread_id.encode(thread.pid, thread.tid, self.multiprocess)
