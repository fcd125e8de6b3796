"""Objects that clients read in chunks: qXfer. Handlers make the whole object; the window is cut here.

Source: GDB manual, "General Query Packets" (qXfer) and the appendixes on thread, library and OS information formats.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from debugserver.errors import MalformedPacket, TargetError
from debugserver.rsp import fields
from debugserver.stub.registry import Dialect, packet
from debugserver.stub.xml import attributes, escape
from debugserver.target.capabilities import (
    Auxv,
    ExecFile,
    LibraryList,
    OperatingSystem,
    Registers,
    SignalInfo,
    ThreadNames,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session
    from debugserver.target.model import Libraries, ThreadId

_NO_PROCESS = errno.EPERM


class Transfer(NamedTuple):
    """An object that is being read: a chunk that starts at `position` continues it."""

    name: str
    annex: str
    position: int
    content: bytes


ObjectHandler = TypeVar("ObjectHandler", bound=Callable[..., bytes])


def xfer_object(
    name: str,
    *,
    needs: type[Any] | None = None,
    feature: str = "",
    no_process: int | None = _NO_PROCESS,
    lldb: str = "",
) -> Callable[[ObjectHandler], ObjectHandler]:
    """Enter a readable object. Its handler, `(session, annex)` or `(session, capability, annex)`, returns all of it;
    `feature` follows its own name in what is advertised."""
    row_name = f"qXfer:{name}:read"

    def enter(handler: ObjectHandler) -> ObjectHandler:
        def read(session: Session, *args: Any) -> Reply:
            *capability, request = args
            return _read_window(session, name, request, lambda annex: handler(session, *capability, annex))

        read.__doc__ = handler.__doc__
        packet(row_name, needs=needs, feature=f"{row_name}+{feature}", no_process=no_process, lldb=lldb)(read)
        return handler

    return enter


def _read_window(session: Session, name: str, request: bytes, make: Callable[[str], bytes]) -> bytes:
    """One chunk. Chunks that follow each other come from one snapshot; any other makes the object anew."""
    if session.dialect is Dialect.LLDB:
        request = request.removesuffix(b":")  # LLVM's tests end a request so
    annex_text, separator, window = request.rpartition(b":")
    if not separator:
        raise MalformedPacket("annex:offset,length is needed")
    annex = annex_text.decode(errors="replace")
    offset, length = fields.offset_and_length(window)
    content = _continued(session.transfer, name, annex, offset)
    if content is None:
        content = make(annex)
    end = offset + length
    session.transfer = Transfer(name, annex, end, content) if end < len(content) else None
    return fields.transfer(content, offset, length)


def _continued(transfer: Transfer | None, name: str, annex: str, offset: int) -> bytes | None:
    if transfer is None or offset == 0 or transfer[:3] != (name, annex, offset):
        return None
    return transfer.content


def _without_annex(annex: str) -> None:
    if annex:
        raise MalformedPacket("this object takes no annex")


@xfer_object("auxv", needs=Auxv)
def read_auxv(session: Session, auxv: Auxv, annex: str) -> bytes:
    """Read the auxiliary vector, as the kernel laid it out."""
    _without_annex(annex)
    return auxv.auxv(session.process())


@xfer_object("exec-file", needs=ExecFile)
def read_exec_file(session: Session, files: ExecFile, annex: str) -> bytes:
    """Read the path of a process's program; the annex is its pid, or empty for the current one."""
    pid = fields.number(annex.encode()) if annex else session.process()
    return files.exec_file(pid).encode(errors="surrogateescape")


@xfer_object(
    "features",
    needs=Registers,
    lldb="After OK to `QThreadSuffixSupported`, and in lldb-server's role, registers have DWARF numbers, uses and "
    "sets, their parts names, and the architecture has LLVM's.",
)
def read_features(session: Session, registers: Registers, annex: str) -> bytes:
    """Read the target description: what registers there are."""
    if annex != "target.xml":
        raise MalformedPacket("there is only target.xml")
    session.reads_descriptions = True
    if session.is_lldb:
        from debugserver.arch.lldb_description import lldb_description as describe
    else:
        from debugserver.arch.description import target_description as describe
    return describe(session.architecture())


@xfer_object("threads", no_process=None)
def read_threads(session: Session, annex: str) -> bytes:
    """Read the list of threads, with names and cores."""
    _without_annex(annex)
    names = session.target.capability(ThreadNames)
    lines = [_thread(session, names, t) for pid in session.target.processes() for t in session.target.threads(pid)]
    return f"<threads>\n{''.join(lines)}</threads>\n".encode()


def _thread(session: Session, names: ThreadNames | None, thread: ThreadId) -> str:
    known = _known(names, thread) if names is not None else ""
    return f'<thread id="{session.encode_thread(thread).decode()}"{known}/>\n'


def _known(names: ThreadNames, thread: ThreadId) -> str:
    """What can be told of a thread: one that ends just now has no name any more, which must not spoil the list."""
    try:
        name, core = names.name_and_core(thread)
        handle = names.thread_handle(thread)
    except TargetError:
        return ""
    known = "" if core is None else f' core="{core}"'
    if name:
        known += f' name="{escape(name)}"'
    return f'{known} handle="{handle.hex()}"' if handle else known


@xfer_object(
    "libraries-svr4",
    needs=LibraryList,
    feature=";augmented-libraries-svr4-read+",
    lldb="There is no `main-lm`, which LLDB takes for something else.",
)
def read_libraries(session: Session, loader: LibraryList, annex: str) -> bytes:
    """Read the list of shared objects; the annex may say from which link map on: `start=HEX;prev=HEX;lmid=HEX;`."""
    wanted = _library_annex(annex)
    start = wanted.get("start", 0)
    if start:
        found = loader.libraries_from(session.process(), start, wanted.get("prev", 0), wanted.get("lmid", 0))
    else:
        found = loader.libraries(session.process())
    return _library_list(session, found)


def _library_annex(annex: str) -> dict[str, int]:
    pairs = [item.partition("=") for item in annex.split(";") if item]
    return {key: fields.number(value.encode()) for key, _, value in pairs}


def _library_list(session: Session, found: Libraries) -> bytes:
    head = {"version": "1.0"}
    if found.main_link_map and session.dialect is Dialect.GDB:
        head["main-lm"] = hex(found.main_link_map)
    rows = (
        {
            "name": library.name,
            "lm": hex(library.link_map),
            "l_addr": hex(library.load_bias),
            "l_ld": hex(library.dynamic),
            "lmid": hex(library.namespace),
        }
        for library in found.libraries
    )
    elements = "".join(f"<library{attributes(row)}/>" for row in rows)
    return f"<library-list-svr4{attributes(head)}>{elements}</library-list-svr4>".encode()


@xfer_object("siginfo", needs=SignalInfo)
def read_siginfo(session: Session, signals: SignalInfo, annex: str) -> bytes:
    """Read the siginfo of the current thread's signal."""
    _without_annex(annex)
    return signals.read_siginfo(session.thread())


@packet("qXfer:siginfo:write", needs=SignalInfo, feature="qXfer:siginfo:write+", no_process=_NO_PROCESS)
def write_siginfo(session: Session, signals: SignalInfo, args: bytes) -> Reply:
    """Change part of the siginfo of the current thread's signal: `annex:offset:data`."""
    annex, _, rest = args.partition(b":")
    offset_text, separator, data = rest.partition(b":")
    offset = fields.number(offset_text)
    if annex or not separator:
        raise MalformedPacket("offset and data are needed, and no annex")
    content = bytearray(signals.read_siginfo(session.thread()))
    if offset > len(content):
        raise MalformedPacket("offset past the end")
    part = data[: len(content) - offset]
    content[offset : offset + len(part)] = part
    signals.write_siginfo(session.thread(), bytes(content))
    return fields.hex_number(len(part))


@xfer_object("osdata", needs=OperatingSystem, no_process=None)
def read_osdata(session: Session, system: OperatingSystem, annex: str) -> bytes:
    """Read a table about the whole system; without an annex, the table of tables."""
    names = system.table_names()
    if annex in ("", "types"):
        rows = [{"Type": name, "Description": text, "Title": name.capitalize()} for name, text in names.items()]
        return _table("types", rows)
    if annex not in names:
        raise MalformedPacket(f"there is no table {annex}")
    return _table(annex, system.table(annex))


def _table(name: str, rows: Iterable[Mapping[str, str]]) -> bytes:
    items = "".join(f"<item>{_columns(row)}</item>" for row in rows)
    return f'<osdata type="{escape(name)}">\n{items}</osdata>\n'.encode()


def _columns(row: Mapping[str, str]) -> str:
    return "".join(f'<column name="{escape(name)}">{escape(value)}</column>' for name, value in row.items())
