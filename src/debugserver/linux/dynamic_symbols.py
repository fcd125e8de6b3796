"""Exported symbols of shared objects in a stopped process, looked up as the dynamic loader does, without their files.

Source: elf(5); the GNU hash table (DT_GNU_HASH) is described with `--hash-style` in the binutils manual and in glibc's
dl-lookup.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from debugserver.linux.address_space import AddressSpace

_DT_NULL, _DT_STRTAB, _DT_SYMTAB, _DT_GNU_HASH = 0, 5, 6, 0x6FFFFEF5
_MOST_TAGS = 256
_HEADER_SIZE = 16
_SYMBOL_SIZES = {4: 16, 8: 24}


def find_symbol(space: AddressSpace, load_bias: int, dynamic: int, name: str) -> int | None:
    """The address of an exported symbol of the object with this dynamic section. MemoryFault."""
    tags = _tags(space, dynamic)
    if not {_DT_STRTAB, _DT_SYMTAB, _DT_GNU_HASH} <= tags.keys():
        return None
    # glibc adds the load bias to these in place, musl does not.
    strings, symbols, table = (
        tags[tag] if tags[tag] >= load_bias else tags[tag] + load_bias for tag in (_DT_STRTAB, _DT_SYMTAB, _DT_GNU_HASH)
    )
    for index in _candidates(space, table, name):
        name_offset, value = _symbol(space, symbols, index)
        if space.string(strings + name_offset) == name:
            return load_bias + value
    return None


def _tags(space: AddressSpace, dynamic: int) -> dict[int, int]:
    tags: dict[int, int] = {}
    for index in range(_MOST_TAGS):
        tag, value = space.words(dynamic + index * 2 * space.word_size, 2)
        if tag == _DT_NULL:
            break
        tags.setdefault(tag, value)
    return tags


def _candidates(space: AddressSpace, table: int, name: str) -> list[int]:
    """The indices of the symbols whose hash is that of `name`."""
    bucket_count, first_index, bloom_size, _ = space.unpack("4I", table)
    buckets = table + _HEADER_SIZE + bloom_size * space.word_size
    chain = buckets + 4 * bucket_count
    wanted = gnu_hash(name)
    (index,) = space.unpack("I", buckets + 4 * (wanted % bucket_count))
    found: list[int] = []
    last = index < first_index
    while not last:
        (value,) = space.unpack("I", chain + 4 * (index - first_index))
        if value | 1 == wanted | 1:
            found.append(index)
        last = bool(value & 1)
        index += 1
    return found


def gnu_hash(name: str) -> int:
    """The hash function of DT_GNU_HASH, 32 bits."""
    value = 5381
    for byte in name.encode():
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def _symbol(space: AddressSpace, symbols: int, index: int) -> tuple[int, int]:
    """(offset of the name, value)."""
    address = symbols + index * _SYMBOL_SIZES[space.word_size]
    if space.word_size == 8:
        name, _, _, _, value = space.unpack("IBBHQ", address)
    else:
        name, value = space.unpack("II", address)
    return name, value
