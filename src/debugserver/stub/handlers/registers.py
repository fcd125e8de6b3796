"""Reading and writing registers: g, G, p, P, and keeping them for later. Layouts are the architecture's; here is only
hex."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from debugserver.errors import MalformedPacket, NoSuchProcess, NoSuchThread, TargetError
from debugserver.rsp import fields, framing
from debugserver.stub.registry import LLDB_ONLY, Dialect, packet
from debugserver.target.capabilities import Registers, RegisterState

if TYPE_CHECKING:
    from debugserver.arch.architecture import Register
    from debugserver.stub.registry import Reply
    from debugserver.stub.session import Session


_OFTEN_CHANGED = 192
"""Bytes of the register file in which most CPUs have their integer registers."""


@packet("g", needs=Registers, no_process=errno.ENOENT, until_told=True, of_thread=True)
def read_registers(session: Session, registers: Registers, args: bytes) -> Reply:
    """Read the whole register file; zeros when there is no thread."""
    if args:
        return b""
    size = session.register_file_size(session.any_architecture())
    try:
        data = registers.read_registers(session.thread())[:size]
    except (NoSuchProcess, NoSuchThread):
        return b"00" * size
    if session.dialect is not Dialect.GDB:
        return data.hex().encode()
    # From stop to stop, what follows the integers hardly ever changes.
    return framing.Shortened(data[:_OFTEN_CHANGED].hex().encode() + _rest.encode(data[_OFTEN_CHANGED:]))


class _Shortener:
    """Encodes bytes as shortened hex, and remembers the last."""

    def __init__(self) -> None:
        self._data = self._text = b""

    def encode(self, data: bytes) -> bytes:
        if data != self._data:
            self._data, self._text = data, framing.shorten(data.hex().encode())
        return self._text


_rest = _Shortener()


@packet("G", needs=Registers, no_process=errno.ENOENT, of_thread=True)
def write_registers(session: Session, registers: Registers, args: bytes) -> Reply:
    """Write the whole register file."""
    thread = session.thread()
    size = session.register_file_size(session.target.architecture(thread.pid))
    try:
        data = fields.blob(args)
    except MalformedPacket as error:
        raise MalformedPacket(str(error), errno.EPERM) from None
    if len(data) != size:
        raise MalformedPacket(f"G has {len(data)} bytes and the register file {size}", errno.EPERM)
    registers.write_registers(thread, data + registers.read_registers(thread)[size:])
    return b"OK"


@packet("p", needs=Registers, no_process=errno.ENOENT, of_thread=True)
def read_register(session: Session, registers: Registers, args: bytes) -> Reply:
    """Read one register."""
    register = _register(session, args)
    return registers.read_register(session.thread(), register.number).hex().encode()


@packet("P", needs=Registers, no_process=errno.ENOENT, of_thread=True)
def write_register(session: Session, registers: Registers, args: bytes) -> Reply:
    """Write one register."""
    number, separator, value = args.partition(b"=")
    register = _register(session, number)
    data = fields.blob(value)
    if not separator or len(data) != register.size:
        raise MalformedPacket(f"{register.name} has {register.size} bytes")
    registers.write_register(session.thread(), register.number, data)
    return b"OK"


@packet("qRegisterInfo", needs=Registers, no_process=errno.ENOENT, dialects=LLDB_ONLY, glued=True)
def describe_register(session: Session, registers: Registers, args: bytes) -> Reply:
    """Describe one register; the first number for which there is an error ends the list."""
    from debugserver.arch.lldb_description import register_info, register_infos

    infos = register_infos(session.architecture())
    number = fields.number(args)
    if number >= len(infos):
        raise MalformedPacket(f"there is no register {number}")
    return register_info(infos[number]).encode()


@packet("QSaveRegisterState", needs=RegisterState, no_process=errno.ENOENT, dialects=LLDB_ONLY, of_thread=True)
def save_registers(session: Session, states: RegisterState, args: bytes) -> Reply:
    """Keep all registers of a thread, for one QRestoreRegisterState: the reply is a decimal number for them."""
    thread = session.thread()
    number = next(session.state_numbers)
    session.saved_states[number] = (thread, states.save_state(thread))
    return b"%d" % number


@packet("QRestoreRegisterState", needs=RegisterState, no_process=errno.ENOENT, dialects=LLDB_ONLY, of_thread=True)
def restore_registers(session: Session, states: RegisterState, args: bytes) -> Reply:
    """Put all registers of a thread back to what QSaveRegisterState kept; only once."""
    if not args.isdigit():
        raise MalformedPacket("the number of a saved state is needed")
    thread, state = session.saved_states.get(int(args), (None, None))
    if thread is None or thread != session.thread():
        raise TargetError(f"there is no saved state {int(args)} of this thread")
    states.restore_state(thread, state)
    del session.saved_states[int(args)]
    return b"OK"


def _register(session: Session, number: bytes) -> Register:
    registers = session.architecture().registers
    index = fields.number(number)
    if index >= len(registers):
        raise MalformedPacket(f"there is no register {index}")
    return registers[index]
