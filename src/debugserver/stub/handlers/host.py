"""What LLDB asks of the system: what it is, who runs there, whose names ids are, and which build a file is.

Numbers of processes and users are decimal here, but hex in `qProcessInfo`. Source: LLVM, "LLDB Remote Protocol".
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket, TargetError
from debugserver.rsp import fields
from debugserver.rsp.framing import escape
from debugserver.stub.registry import packet
from debugserver.target.capabilities import HostSystem

if TYPE_CHECKING:
    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session
    from debugserver.target.model import ModuleDetails, ProcessDetails


def _pairs(*pairs: tuple[str, bytes]) -> bytes:
    """`key:value;` of each that has a value."""
    return b"".join(b"%b:%b;" % (key.encode(), value) for key, value in pairs if value)


@packet("qHostInfo", needs=HostSystem)
def host_info(session: Session, system: HostSystem, args: bytes) -> Reply:
    """Describe the system that processes run on."""
    host = system.describe_host()
    return _pairs(
        ("triple", fields.hex_text(host.triple)),
        ("ptrsize", b"%d" % host.pointer_size),
        ("distribution_id", fields.hex_text(host.distribution)),
        ("watchpoint_exceptions_received", b"after" if host.traps_after else b"before"),
        ("endian", host.byteorder.encode()),
        ("os_version", host.version.encode()),
        ("os_build", fields.hex_text(host.release)),
        ("os_kernel", fields.hex_text(host.kernel)),
        ("hostname", fields.hex_text(host.name)),
    )


@packet("qProcessInfo", needs=HostSystem, no_process=errno.EPERM)
def process_info(session: Session, system: HostSystem, args: bytes) -> Reply:
    """Describe the current process."""
    process = system.process_details(session.process())
    return _pairs(
        ("pid", b"%x" % process.pid),
        ("parent-pid", b"%x" % process.parent),
        ("real-uid", b"%x" % process.uid),
        ("real-gid", b"%x" % process.gid),
        ("effective-uid", b"%x" % process.effective_uid),
        ("effective-gid", b"%x" % process.effective_gid),
        ("triple", fields.hex_text(process.triple)),
        ("ostype", b"linux"),
        ("endian", system.describe_host().byteorder.encode()),
        ("ptrsize", b"%d" % process.pointer_size),
    )


@packet("qProcessInfoPID", needs=HostSystem)
def process_info_of(session: Session, system: HostSystem, args: bytes) -> Reply:
    """Describe any process of the system, by its pid."""
    return _describe(system.process_details(fields.decimal(args)))


def _describe(process: ProcessDetails) -> bytes:
    return _pairs(
        ("pid", b"%d" % process.pid),
        ("ppid", b"%d" % process.parent),
        ("uid", b"%d" % process.uid),
        ("gid", b"%d" % process.gid),
        ("euid", b"%d" % process.effective_uid),
        ("egid", b"%d" % process.effective_gid),
        ("name", fields.hex_text(process.program)),
        ("args", b"-".join(map(fields.hex_text, process.arguments))),
        ("triple", fields.hex_text(process.triple)),
    )


@packet("qfProcessInfo", needs=HostSystem)
def first_process(session: Session, system: HostSystem, args: bytes) -> Reply:
    """Describe the first of the system's processes that match: `key:value;` of name, ids, triple, users."""
    wanted = dict(_filter_fields(args))
    all_users = wanted.pop(b"all_users", b"1") in _TRUE
    matches = _matcher(wanted)
    session.process_list = (process for process in system.running_processes(all_users) if matches(process))
    return _next_process(session)


@packet("qsProcessInfo", needs=HostSystem)
def next_process(session: Session, system: HostSystem, args: bytes) -> Reply:
    """Describe the next of the processes that qfProcessInfo asked for; an error after the last."""
    return _next_process(session)


def _next_process(session: Session) -> bytes:
    for process in session.process_list:
        return _describe(process)
    raise TargetError("no more processes", errno.ENOENT)


_TRUE = (b"1", b"true")

_NAME_MATCHES: dict[bytes, Callable[[str, str], bool]] = {
    b"equals": str.__eq__,
    b"starts_with": str.startswith,
    b"ends_with": str.endswith,
    b"contains": str.__contains__,
    b"regex": lambda name, pattern: re.search(pattern, name) is not None,
}

_IDS = {
    b"pid": "pid",
    b"parent_pid": "parent",
    b"uid": "uid",
    b"gid": "gid",
    b"euid": "effective_uid",
    b"egid": "effective_gid",
}
"""Key -> the field of ProcessDetails."""


def _filter_fields(args: bytes) -> Iterator[tuple[bytes, bytes]]:
    for pair in filter(None, args.split(b";")):
        key, colon, value = pair.partition(b":")
        if not colon or key not in (b"name", b"name_match", b"all_users", b"triple", *_IDS):
            raise MalformedPacket(f"nothing matches by {key!r}")
        yield key, value


def _matcher(wanted: dict[bytes, bytes]) -> Callable[[ProcessDetails], bool]:
    ids = [(field, fields.decimal(wanted[key])) for key, field in _IDS.items() if key in wanted]
    machine = wanted.get(b"triple", b"").decode(errors="replace").partition("-")[0]
    name = fields.text(wanted.get(b"name", b""))
    compare = _NAME_MATCHES.get(wanted.get(b"name_match", b"equals"))
    if compare is None:
        raise MalformedPacket("unknown name_match")
    if compare is _NAME_MATCHES[b"regex"]:
        _check_pattern(name)

    def matches(process: ProcessDetails) -> bool:
        return (
            all(getattr(process, field) == value for field, value in ids)
            and machine in ("", process.triple.partition("-")[0])
            and (not name or compare(process.program.rpartition("/")[2], name))
        )

    return matches


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise MalformedPacket(f"not a regular expression: {error}") from None


@packet("qUserName", needs=HostSystem)
def user_name(session: Session, system: HostSystem, args: bytes) -> Reply:
    """Tell the name of a user."""
    return _name(system.user_name(fields.decimal(args)))


@packet("qGroupName", needs=HostSystem)
def group_name(session: Session, system: HostSystem, args: bytes) -> Reply:
    """Tell the name of a group."""
    return _name(system.group_name(fields.decimal(args)))


def _name(name: str | None) -> bytes:
    if name is None:
        raise TargetError("it has no name", errno.ENOENT)
    return fields.hex_text(name)


@packet("qModuleInfo", needs=HostSystem)
def module_info(session: Session, system: HostSystem, args: bytes) -> Reply:
    """Tell which build a file is: `path;triple`."""
    path, separator, triple = args.partition(b";")
    if not separator:
        raise MalformedPacket("a path and a triple are needed")
    module = _module(system, fields.text(path), fields.text(triple))
    return _pairs(
        ("uuid", fields.hex_text(_uuid(module))),
        ("triple", fields.hex_text(module.triple)),
        ("file_path", fields.hex_text(module.path)),
        ("file_offset", b"%016x" % 0),
        ("file_size", b"%016x" % module.size),
    )


def _module(system: HostSystem, path: str, triple: str) -> ModuleDetails:
    if "\0" in path:
        raise MalformedPacket("no file name has a NUL")
    module = system.module_details(path)
    if triple.partition("-")[0] not in ("", module.triple.partition("-")[0]):
        raise TargetError(f"{path} is for {module.triple}", errno.ENOENT)
    return module


def _uuid(module: ModuleDetails) -> str:
    return module.build_id.hex().upper()


@packet("jModulesInfo", needs=HostSystem)
def modules_info(session: Session, system: HostSystem, args: bytes) -> Reply:
    """As qModuleInfo of many files, in JSON; those that are not there are left out."""
    import json

    try:
        wanted = [(str(each["file"]), str(each.get("triple", ""))) for each in json.loads(args)]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MalformedPacket(f"not a list of modules: {error}") from None
    found = []
    for path, triple in wanted:
        try:
            module = _module(system, path, triple)
        except (MalformedPacket, TargetError):
            continue
        found.append({
            "uuid": _uuid(module),
            "triple": module.triple,
            "file_path": module.path,
            "file_offset": 0,
            "file_size": module.size,
        })  # fmt: skip
    return escape(json.dumps(found, separators=(",", ":")).encode())
