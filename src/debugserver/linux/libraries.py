"""The shared objects of a live process, from the dynamic loader's own lists. Knows no loader but the SVR4 interface.

Source: <link.h> (struct r_debug, struct link_map), elf(5). With r_version 2 (glibc 2.35) r_debug has a successor for
each further namespace (dlmopen).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from debugserver.errors import MemoryFault
from debugserver.linux.address_space import PT_DYNAMIC, AddressSpace
from debugserver.target.capabilities import LibraryList
from debugserver.target.model import Libraries, Library

if TYPE_CHECKING:
    from collections.abc import Iterator

    from debugserver.target.capabilities import Auxv, Memory
    from debugserver.target.target import Target

_DT_DEBUG = 21
_R_VERSION_WITH_NEXT = 2
_MOST_ENTRIES = 1 << 16
"""No list is longer: what looks so is garbage."""


class _LinkMap(NamedTuple):
    address: int
    load_bias: int
    name: int
    dynamic: int
    next: int
    previous: int


class Svr4Libraries(LibraryList):
    """Reads the lists anew at every call. A list that cannot be read on, or that loops, ends there."""

    def __init__(self, target: Target, memory: Memory, auxv: Auxv) -> None:
        self._target = target
        self._memory = memory
        self._auxv = auxv

    def libraries(self, pid: int) -> Libraries:
        space = AddressSpace(self._memory, pid, self._target.architecture(pid))
        main_link_map = 0
        found: list[Library] = []
        for namespace, first in _namespaces(space, self._auxv.auxv(pid)):
            link_maps = _link_maps(space, first, 0)
            if not main_link_map:
                program = next(link_maps, None)
                main_link_map = program.address if program else 0
            found += _libraries(space, link_maps, namespace)
        return Libraries(main_link_map, tuple(found))

    def libraries_from(self, pid: int, link_map: int, previous: int, namespace: int) -> Libraries:
        space = AddressSpace(self._memory, pid, self._target.architecture(pid))
        if not namespace:
            namespace = next((address for address, _ in _namespaces(space, self._auxv.auxv(pid))), 0)
        return Libraries(0, tuple(_libraries(space, _link_maps(space, link_map, previous), namespace)))

    def loader_pointer(self, pid: int) -> int:
        space = AddressSpace(self._memory, pid, self._target.architecture(pid))
        try:
            return _debug_entry(space, self._auxv.auxv(pid))
        except MemoryFault:
            return 0


def _namespaces(space: AddressSpace, auxv: bytes) -> Iterator[tuple[int, int]]:
    """The address of each r_debug, and of its first link map; none before the loader has run."""
    try:
        address = _r_debug(space, auxv)
        seen: set[int] = set()
        while address and address not in seen:
            seen.add(address)
            (version,) = space.unpack("i", address)
            words = space.words(address, 6 if version >= _R_VERSION_WITH_NEXT else 5)
            yield address, words[1]
            address = words[5] if version >= _R_VERSION_WITH_NEXT else 0
    except MemoryFault:
        return


def _r_debug(space: AddressSpace, auxv: bytes) -> int:
    """What DT_DEBUG holds: the loader writes it when it has set up its lists."""
    place = _debug_entry(space, auxv)
    return space.words(place, 1)[0] if place else 0


def _debug_entry(space: AddressSpace, auxv: bytes) -> int:
    """Where the value of DT_DEBUG is, in the program's dynamic section; 0: there is none."""
    bias, segments = space.program_segments(auxv)
    for segment in segments:
        if segment.type == PT_DYNAMIC:
            start = bias + segment.address
            tags = space.words(start, segment.memory_size // space.word_size & ~1)[::2]
            return start + (2 * tags.index(_DT_DEBUG) + 1) * space.word_size if _DT_DEBUG in tags else 0
    return 0


def _link_maps(space: AddressSpace, address: int, previous: int) -> Iterator[_LinkMap]:
    """The chain from `address` on, as far as each entry points back to the one before."""
    for _ in range(_MOST_ENTRIES):
        if not address:
            return
        try:
            entry = _LinkMap(address, *space.words(address, 5))
        except MemoryFault:
            return
        if entry.previous != previous:
            return
        yield entry
        address, previous = entry.next, entry.address


def _libraries(space: AddressSpace, link_maps: Iterator[_LinkMap], namespace: int) -> Iterator[Library]:
    """Those that have a name."""
    for entry in link_maps:
        try:
            name = space.string(entry.name)
        except MemoryFault:
            name = ""
        if name:
            yield Library(name, entry.address, entry.load_bias, entry.dynamic, namespace)
