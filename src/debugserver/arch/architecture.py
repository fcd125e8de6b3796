"""What a CPU's registers are and how they travel: one Architecture value says it all.

`register_file` is the payload of `g`: every register in the order of its number, without gaps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from debugserver.arch.instructions import Instructions
    from debugserver.arch.register_roles import Role, View
    from debugserver.arch.system_calls import SystemCalls

ReadRegister = Callable[[str], int]
"""The value of one of a thread's registers, by name."""


class Register(NamedTuple):
    """One register as clients see it. `type` and `group` are words of GDB's target description format."""

    name: str
    bits: int
    type: str
    number: int = 0
    offset: int = 0
    """In bytes, within the register file."""
    group: str = ""

    @property
    def size(self) -> int:
        """In bytes."""
        return self.bits // 8


class Feature(NamedTuple):
    """A named set of registers in a target description; `types` is XML text of the types that it defines."""

    name: str
    types: str
    registers: tuple[Register, ...]


def arrange(features: Iterable[Feature]) -> tuple[Feature, ...]:
    """The features with their registers numbered, and placed in the register file, in the order given."""
    arranged = []
    number = offset = 0
    for feature in features:
        registers = []
        for register in feature.registers:
            registers.append(register._replace(number=number, offset=offset))
            number += 1
            offset += register.size
        arranged.append(feature._replace(registers=tuple(registers)))
    return tuple(arranged)


class RegisterCodec(ABC):
    """Where each register lives in the system's register banks.

    A bank is an ELF note or PTRACE_GETREGSET type (NT_PRSTATUS = 1, NT_FPREGSET = 2, NT_X86_XSTATE = 0x202).
    """

    @property
    @abstractmethod
    def banks(self) -> Sequence[int]:
        """All banks that the register file comes from."""

    @abstractmethod
    def bank(self, number: int) -> int:
        """The bank that holds this register."""

    @abstractmethod
    def read(self, number: int, banks: Mapping[int, bytes | bytearray]) -> bytes:
        """The value of one register, from its bank."""

    @abstractmethod
    def general_place(self, number: int) -> slice | None:
        """Where in NT_PRSTATUS this register is; None: its value is not simply some bytes of that bank."""

    @abstractmethod
    def write(self, number: int, value: bytes, banks: Mapping[int, bytearray]) -> None:
        """Change one register in its bank."""

    @abstractmethod
    def read_file(self, banks: Mapping[int, bytes | bytearray]) -> bytes:
        """The whole register file. All banks must be given."""

    @abstractmethod
    def write_file(self, data: bytes, banks: Mapping[int, bytearray]) -> None:
        """Replace the whole register file in the banks."""

    @abstractmethod
    def read_general(self, bank: bytes | bytearray) -> bytes:
        """The values of `Architecture.general`, one after the other, from the bank (NT_PRSTATUS) that has them all."""


class Architecture:
    """One CPU as one inferior sees it. Immutable; shared between inferiors."""

    def __init__(
        self,
        *,
        name: str,
        features: Sequence[Feature],
        pointer_size: int,
        pc: str,
        sp: str,
        general: Sequence[str],
        breakpoint: bytes,
        osabi: str = "",
        big_endian: bool = False,
        codec: RegisterCodec | None = None,
        assumed: Sequence[Feature] | None = None,
        thread_pointer: Callable[[ReadRegister], int] | None = None,
        instructions: Instructions | None = None,
        system_calls: SystemCalls | None = None,
        roles: Mapping[str, Role] | None = None,
        views: Sequence[View] = (),
    ) -> None:
        """`name` is GDB's architecture ("i386:x86-64"); `general` are the registers that stop replies carry;
        `breakpoint` the software breakpoint instruction; `codec` is for targets with a system's register banks;
        `assumed` are the first features, which a client that reads no descriptions takes for all (None: all);
        `thread_pointer` finds where the thread's control block is, if the ABI has thread-local storage;
        `instructions` is what is known of them; `system_calls` is how a program calls the system, if it has one;
        `roles`: register name -> what it is to a debugger; `views` are the names of parts of registers, and of
        registers that are composed of them."""
        self.name = name
        self.osabi = osabi
        self.features = tuple(features)
        self.pointer_size = pointer_size
        self.byteorder: Literal["little", "big"] = "big" if big_endian else "little"
        self.breakpoint = breakpoint
        self.codec = codec
        self.thread_pointer = thread_pointer
        self.instructions = instructions
        self.system_calls = system_calls
        self.roles = dict(roles or {})
        self.views = tuple(views)
        self.registers = tuple(r for feature in features for r in feature.registers)
        self.by_name: dict[str, Register] = {r.name: r for r in self.registers}
        self.pc = self.by_name[pc].number
        self.sp = self.by_name[sp].number
        self.general = tuple(self.by_name[n].number for n in general)
        self.register_file_size = sum(r.size for r in self.registers)
        self.assumed_size = sum(r.size for feature in assumed or features for r in feature.registers)
        """The bytes of the register file that a client without descriptions knows."""
        self._check()

    def _check(self) -> None:
        """Numbers and offsets run without gaps, so that the description and `g` agree."""
        offset = 0
        for number, register in enumerate(self.registers):
            if (register.number, register.offset) != (number, offset):
                raise ValueError(f"{self.name}: register {register.name} is out of place")
            offset += register.size
