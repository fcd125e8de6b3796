"""qSaveCore: the process as a file, which LLDB then fetches (`process save-core`)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket
from debugserver.rsp import fields
from debugserver.stub.registry import LLDB_ONLY, packet
from debugserver.target.capabilities import CoreFiles

if TYPE_CHECKING:
    from debugserver.stub.registry import Reply, Work
    from debugserver.stub.session import Session
    from debugserver.target.model import ThreadId

_PATH_HINT = b"path-hint:"


@packet("qSaveCore", needs=CoreFiles, no_process=errno.EPERM, explains=True, feature="qSaveCore+", dialects=LLDB_ONLY)
def save_core(session: Session, cores: CoreFiles, args: bytes) -> Reply:
    """Write a core file of the current process, and tell its path: `path-hint:PATH`."""
    path = b""
    for option in filter(None, args.split(b";")):
        if not option.startswith(_PATH_HINT):
            raise MalformedPacket(f"unknown option {option!r}")
        path = option.removeprefix(_PATH_HINT)
    return _save(cores, session.thread(), fields.text(path))


def _save(cores: CoreFiles, thread: ThreadId, path: str) -> Work:
    written = yield from cores.write_core(thread, path)
    return b"core-path:%b;" % fields.hex_text(written)
