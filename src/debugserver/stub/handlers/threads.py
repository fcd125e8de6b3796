"""Which threads there are, and which one the next packets mean: H, T, q*ThreadInfo and their kin."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from debugserver.errors import (
    DebugServerError,
    MalformedPacket,
    NoSuchProcess,
    NoSuchThread,
    NotStopped,
    TargetError,
)
from debugserver.rsp import fields, framing, thread_id
from debugserver.stub.dialects import NO_CURRENT_PROCESS, NO_PROCESS_TO_CHOOSE, NO_THREAD_TO_CHOOSE
from debugserver.stub.registry import LLDB_ONLY, Dialect, packet
from debugserver.target.capabilities import Execution, ThreadLocalStorage, ThreadNames
from debugserver.target.model import ThreadId

if TYPE_CHECKING:
    from debugserver.rsp.thread_id import ThreadSelector
    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session

_NO_PROCESS = errno.EPERM


@packet(
    "H",
    lldb="A thread can be chosen only once there is a process.",
    lldb_errors={NoSuchThread: NO_THREAD_TO_CHOOSE, DebugServerError: NO_PROCESS_TO_CHOOSE},
)
def select_thread(session: Session, args: bytes) -> Reply:
    """Choose the thread of later packets: Hg for registers and memory, Hc for steps of the old style."""
    if len(args) < 2:
        raise MalformedPacket("an operation and a thread are needed")
    operation, selector = args[:1], thread_id.parse(args[1:])
    if operation == b"g":
        session.general_thread = _general_thread(session, selector)
    elif operation == b"c":
        session.continue_thread = _continue_thread(session, selector)
    else:
        return b""
    return b"OK"


def _general_thread(session: Session, selector: ThreadSelector) -> ThreadId | None:
    if selector.tid == thread_id.ALL and selector.pid in (None, thread_id.ALL):
        raise MalformedPacket("registers are one thread's, not all threads'")
    return _existing(session, selector)


def _continue_thread(session: Session, selector: ThreadSelector) -> ThreadId | None:
    """None, which is all threads, also for "any": an old-style continue that names no thread resumes every one."""
    if selector.pid in (None, thread_id.ANY, thread_id.ALL) and selector.tid <= 0:
        return None
    return _existing(session, selector)


def _existing(session: Session, selector: ThreadSelector) -> ThreadId | None:
    """Before there is a process, GDB may name a thread but not pick one."""
    if session.dialect is Dialect.GDB and selector.tid > 0 and not session.target.processes():
        return None
    try:
        return session.select(selector)
    except NoSuchProcess:
        if not selector.pid or selector.tid <= 0 or not session.stops.knows_process(selector.pid):
            raise
        # What is asked of it must not be answered by another process: GDB does not look at the reply.
        return ThreadId(selector.pid, selector.tid)


@packet("T", no_process=errno.ENOENT, lldb_errors={NoSuchProcess: b"E01"})
def thread_alive(session: Session, args: bytes) -> Reply:
    """Say whether a thread is alive."""
    selector = thread_id.parse(args)
    if selector.tid <= 0:
        raise MalformedPacket("one thread is needed")
    try:
        session.find(selector)
    except TargetError as error:
        error.number = errno.ENOENT
        raise
    return b"OK"


@packet("qC", no_process=_NO_PROCESS, lldb_errors={NoSuchProcess: NO_CURRENT_PROCESS}, bare=True)
def current_thread(session: Session, args: bytes) -> Reply:
    """Name the current thread."""
    return b"QC" + session.encode_thread(session.thread())


@packet("qfThreadInfo", no_process=_NO_PROCESS, bare=True)
def first_threads(session: Session, args: bytes) -> Reply:
    """List the threads, all in one reply."""
    session.thread_list_started = True
    target = session.target
    return b"m" + b",".join(session.encode_thread(t) for pid in target.processes() for t in target.threads(pid))


@packet("qsThreadInfo", no_process=_NO_PROCESS, bare=True)
def more_threads(session: Session, args: bytes) -> Reply:
    """End the list that qfThreadInfo began."""
    if not session.thread_list_started:
        raise TargetError("qfThreadInfo comes first")
    session.thread_list_started = False
    return b"l"


@packet("qThreadExtraInfo", needs=ThreadNames, no_process=_NO_PROCESS)
def describe_thread(session: Session, names: ThreadNames, args: bytes) -> Reply:
    """Tell a thread's name."""
    return fields.hex_text(names.thread_name(session.find(thread_id.parse(args))))


@packet("qThreadStopInfo", needs=Execution, no_process=_NO_PROCESS, dialects=LLDB_ONLY, glued=True)
def tell_stop(session: Session, execution: Execution, args: bytes) -> Reply:
    """Tell why a thread stands still, as a stop reply."""
    thread = session.find(thread_id.parse(args))
    if execution.running(thread):
        raise NotStopped(f"thread {thread.tid} is running")
    return session.stops.encode(session.stops.last_stop(thread))


@packet("jThreadsInfo", needs=Execution, no_process=_NO_PROCESS, dialects=LLDB_ONLY)
def describe_threads(session: Session, execution: Execution, args: bytes) -> Reply:
    """Tell of all stopped threads why they stand still and where, with registers and the top of the stack."""
    return framing.escape(session.stops.describe_threads(session.process()))


@packet("qAttached", no_process=_NO_PROCESS)
def was_attached(session: Session, args: bytes) -> Reply:
    """Say whether a process existed before it was debugged: a client then detaches instead of killing when it quits."""
    pid = fields.number(args) if args else session.process()
    return b"1" if session.target.attached(pid) else b"0"


@packet("qSymbol")
def offer_symbols(session: Session, args: bytes) -> Reply:
    """The client offers to look up symbols (`:`), or tells of one (`value:name`): none are needed."""
    if b":" not in args:
        raise MalformedPacket("value:name is needed")
    return b"OK"


@packet("qGetTLSAddr", needs=ThreadLocalStorage, no_process=_NO_PROCESS)
def thread_local_address(session: Session, storage: ThreadLocalStorage, args: bytes) -> Reply:
    """Locate a thread's copy of a variable: `thread-id,offset,link-map`."""
    thread_text, _, rest = args.partition(b",")
    offset, link_map = fields.numbers(rest, b",", 2)
    thread = session.select(thread_id.parse(thread_text))
    return fields.hex_number(storage.thread_local_address(thread, offset, link_map))
