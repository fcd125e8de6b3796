"""What lies where in a process, as LLDB asks for it: mappings, files, the dynamic loader's list, memory of its own."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket, TargetError
from debugserver.rsp import fields
from debugserver.stub.registry import LLDB_ONLY, packet
from debugserver.target.capabilities import Allocation, LibraryList, MemoryMap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session
    from debugserver.target.model import Region

_NO_PROCESS = errno.EPERM
_LAST_END = (1 << 64) - 1
"""Where the hole after the last mapping ends, also in a 32-bit process: there LLDB ends its list of all regions."""


@packet("qMemoryRegionInfo", needs=MemoryMap, no_process=_NO_PROCESS, dialects=LLDB_ONLY)
def describe_region(session: Session, memory_map: MemoryMap, args: bytes) -> Reply:
    """Tell what is mapped at an address, or how large the hole there is; without one: `OK`, it can be asked."""
    if not args:
        return b"OK"
    address = fields.number(args)
    regions = memory_map.regions(session.process())
    pairs = _region(regions, address) or _hole(regions, address)
    return b"".join(b"%b:%b;" % pair for pair in pairs)


def _region(regions: Iterable[Region], address: int) -> list[tuple[bytes, bytes]]:
    for region in regions:
        if region.start <= address < region.end:
            extent = _extent(region.start, region.end)
            return [*extent, (b"permissions", region.permissions.encode()), (b"name", fields.hex_text(region.name))]
    return []


def _hole(regions: Iterable[Region], address: int) -> list[tuple[bytes, bytes]]:
    start = max((region.end for region in regions if region.end <= address), default=0)
    return _extent(start, min((region.start for region in regions if region.start > address), default=_LAST_END))


def _extent(start: int, end: int) -> list[tuple[bytes, bytes]]:
    return [(b"start", fields.hex_number(start)), (b"size", fields.hex_number(end - start))]


@packet("qFileLoadAddress", needs=MemoryMap, no_process=_NO_PROCESS, dialects=LLDB_ONLY)
def find_file(session: Session, memory_map: MemoryMap, args: bytes) -> Reply:
    """Tell where a file is mapped: the lowest address."""
    path = fields.text(args)
    starts = [region.start for region in memory_map.regions(session.process()) if region.name == path]
    if not starts:
        raise TargetError(f"{path} is not mapped")
    return fields.hex_number(min(starts))


@packet("qShlibInfoAddr", needs=LibraryList, no_process=_NO_PROCESS, dialects=LLDB_ONLY)
def locate_library_list(session: Session, loader: LibraryList, args: bytes) -> Reply:
    """Tell where the pointer to the dynamic loader's list is."""
    place = loader.loader_pointer(session.process())
    if not place:
        raise TargetError("the program has no dynamic loader")
    return fields.hex_number(place)


@packet("_M", needs=Allocation, no_process=_NO_PROCESS, explains=True, dialects=LLDB_ONLY, glued=True)
def allocate(session: Session, allocation: Allocation, args: bytes) -> Reply:
    """Map new memory into the process, `size,permissions`; it goes when the client goes."""
    size_text, separator, permissions = args.partition(b",")
    size = fields.number(size_text)
    if not size or not separator or not set(permissions) <= set(b"rwx"):
        raise MalformedPacket("a size and letters of rwx are needed")
    return fields.hex_number(allocation.allocate(session.process(), size, permissions.decode()))


@packet("_m", needs=Allocation, no_process=_NO_PROCESS, explains=True, dialects=LLDB_ONLY, glued=True)
def deallocate(session: Session, allocation: Allocation, args: bytes) -> Reply:
    """Unmap what _M mapped."""
    allocation.deallocate(session.process(), fields.number(args))
    return b"OK"
