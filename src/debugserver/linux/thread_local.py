"""Where a thread keeps its thread-local variables, without libthread_db. Knows the two C libraries of Linux.

Source: "ELF Handling For Thread-Local Storage" (Drepper), sections 3 and 4; nptl_db of glibc, whose descriptors of its
own structures are exported as `_thread_db_*`; ldso/dynlink.c of musl.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from debugserver.errors import TargetError
from debugserver.linux.address_space import PT_TLS, AddressSpace
from debugserver.linux.dynamic_symbols import find_symbol
from debugserver.target.capabilities import ThreadLocalStorage

if TYPE_CHECKING:
    from debugserver.linux.address_space import Segment
    from debugserver.target.capabilities import Auxv, LibraryList, Memory, Registers
    from debugserver.target.model import Libraries, ThreadId
    from debugserver.target.target import Target

_MUSL_NAME = "/ld-musl-"
_UNALLOCATED = (0, (1 << 32) - 1, (1 << 64) - 1)
_MOST_SLOT_TABLES = 1 << 10


class LinuxThreadLocalStorage(ThreadLocalStorage):
    """Threads of glibc and musl programs on x86: blocks lie below the thread pointer."""

    def __init__(
        self, target: Target, memory: Memory, registers: Registers, auxv: Auxv, libraries: LibraryList
    ) -> None:
        self._target = target
        self._memory = memory
        self._registers = registers
        self._auxv = auxv
        self._libraries = libraries

    def thread_local_address(self, thread: ThreadId, offset: int, link_map: int) -> int:
        space = AddressSpace(self._memory, thread.pid, self._target.architecture(thread.pid))
        pointer = self._thread_pointer(thread)
        _, segments = space.program_segments(self._auxv.auxv(thread.pid))
        libraries = self._libraries.libraries(thread.pid)
        if link_map in (0, libraries.main_link_map):
            return _program_block(pointer, segments) + offset
        if any(_MUSL_NAME in library.name for library in libraries.libraries):
            return _musl_block(space, pointer, segments, libraries, link_map) + offset
        return _Glibc(space, libraries).block(pointer, link_map) + offset

    def _thread_pointer(self, thread: ThreadId) -> int:
        architecture = self._target.architecture(thread.pid)
        if architecture.thread_pointer is None:
            raise TargetError(f"thread-local variables are not supported on {architecture.name}")

        def read(name: str) -> int:
            value = self._registers.read_register(thread, architecture.by_name[name].number)
            return int.from_bytes(value, architecture.byteorder)

        # Where a program is started, and in one without a C library for ever, there is no thread-local storage.
        if not (pointer := architecture.thread_pointer(read)):
            raise TargetError("the thread has not set up its thread-local variables yet: they have no address")
        return pointer


def _thread_local_segment(segments: list[Segment]) -> Segment | None:
    return next((segment for segment in segments if segment.type == PT_TLS), None)


def _program_block(pointer: int, segments: list[Segment]) -> int:
    """The program's own block ends at the thread pointer, up to its alignment: compiled code relies on that."""
    segment = _thread_local_segment(segments)
    if segment is None:
        raise TargetError("the program has no thread-local variables")
    alignment = max(segment.alignment, 1)
    return pointer - (segment.memory_size + alignment - 1) // alignment * alignment


def _allocated(block: int) -> int:
    if block in _UNALLOCATED:
        raise TargetError("the thread has not used that library's thread-local variables yet: they have no address")
    return block


def _musl_block(space: AddressSpace, pointer: int, segments: list[Segment], libraries: Libraries, link_map: int) -> int:
    """musl numbers the objects that have a TLS segment in its list's order, the program first, and unloads none."""
    module = 1 if _thread_local_segment(segments) else 0
    for library in libraries.libraries:
        has_segment = _thread_local_segment(space.library_segments(library.load_bias)) is not None
        module += has_segment
        if library.link_map == link_map and has_segment:
            vector, (count,) = _musl_vector(space, pointer)
            return _allocated(space.words(vector + module * space.word_size, 1)[0] if module <= count else 0)
    raise TargetError("no library with thread-local variables has that link map")


def _musl_vector(space: AddressSpace, pointer: int) -> tuple[int, tuple[int, ...]]:
    """The thread's dynamic thread vector, and the number of modules that stands in its first word."""
    (vector,) = space.words(pointer + space.word_size, 1)
    return vector, space.words(vector, 1)


class _Field(NamedTuple):
    """One member of one of glibc's structures; of an array, `size` is an element's. In bytes."""

    size: int
    offset: int


class _Glibc:
    """glibc's structures, as nptl_db reads them."""

    def __init__(self, space: AddressSpace, libraries: Libraries) -> None:
        self._space = space
        self._libraries = [
            library
            for library in libraries.libraries
            if library.name.rpartition("/")[2].startswith(("libc.", "libpthread.", "ld-", "ld.", "ld64."))
        ]

    def block(self, pointer: int, link_map: int) -> int:
        """The block of one object. One with static storage has it at the same distance in every thread."""
        distance = self._value(link_map, "link_map_l_tls_offset")
        if distance not in _UNALLOCATED:
            return pointer - distance
        module = self._value(link_map, "link_map_l_tls_modid")
        if not module:
            raise TargetError("that library has no thread-local variables")
        return _allocated(self._vector_entry(self._value(pointer, "pthread_dtvp"), module))

    def _vector_entry(self, vector: int, module: int) -> int:
        """The thread's dynamic thread vector is brought up to date on use: an older entry is another library's."""
        generation = self._value(self._element(vector, "dtv_dtv", 0), "dtv_t_counter")
        if generation < self._slot_generation(module):
            return 0
        return self._value(self._element(vector, "dtv_dtv", module), "dtv_t_pointer_val")

    def _slot_generation(self, module: int) -> int:
        """When the module got its number: kept in a list of tables."""
        table = self._value(self._symbol("_rtld_global"), "rtld_global__dl_tls_dtv_slotinfo_list")
        for _ in range(_MOST_SLOT_TABLES):
            length = self._value(table, "dtv_slotinfo_list_len") if table else 0
            if module < length or not length:
                break
            module -= length
            table = self._value(table, "dtv_slotinfo_list_next")
        if not length:
            raise TargetError("glibc's list of thread-local modules ends too early")
        return self._value(self._element(table, "dtv_slotinfo_list_slotinfo", module), "dtv_slotinfo_gen")

    def _element(self, address: int, array: str, index: int) -> int:
        field = self._field(array)
        return address + field.offset + index * field.size

    def _value(self, address: int, name: str) -> int:
        field = self._field(name)
        (value,) = self._space.unpack({4: "I", 8: "Q"}[field.size], address + field.offset)
        return value

    def _field(self, name: str) -> _Field:
        bits, _, offset = self._space.unpack("3I", self._symbol(f"_thread_db_{name}"))
        return _Field(bits // 8, offset)

    def _symbol(self, name: str) -> int:
        for library in self._libraries:
            address = find_symbol(self._space, library.load_bias, library.dynamic, name)
            if address is not None:
                return address
        raise TargetError(f"the C library does not export {name}, so its thread-local variables cannot be located")
