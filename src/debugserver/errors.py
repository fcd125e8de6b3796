"""The one tree of errors.

A class says whose fault it is: the peer's (ProtocolError), the operation's (TargetError), the user's
(ConfigurationError).
`number` is a host errno; `stub` turns it into the protocol's. Knows nothing of packets, targets or sockets.
"""

from __future__ import annotations

import errno


class DebugServerError(Exception):
    """Anything that debugserver expects to go wrong."""


class ProtocolError(DebugServerError):
    """The peer broke the protocol."""


class MalformedPacket(ProtocolError):
    """A packet whose arguments cannot be parsed: it gets an error reply and changes nothing."""

    def __init__(self, reason: str, number: int = errno.EINVAL) -> None:
        super().__init__(reason)
        self.number = number


class TargetError(DebugServerError):
    """An operation on the target failed. `number` is the errno that the client is told."""

    number = errno.EPERM

    def __init__(self, message: str, number: int | None = None) -> None:
        super().__init__(message)
        if number is not None:
            self.number = number


class NoSuchProcess(TargetError):
    """There is no such inferior, or none at all."""

    def __init__(self, message: str = "no process is being debugged", number: int | None = None) -> None:
        super().__init__(message, number)


class NoSuchThread(TargetError):
    """The thread is gone, or never was."""


class NotStopped(TargetError):
    """The operation needs a stopped thread and this one runs."""


class MemoryFault(TargetError):
    """Nothing could be read or written at `address`."""

    def __init__(self, address: int) -> None:
        super().__init__(f"cannot access memory at address {address:#x}")
        self.address = address


class ExpressionError(TargetError):
    """An agent expression has no value: it divides by zero, reads a register that is not there, or never ends."""

    number = errno.EINVAL


class NoDebugRegister(TargetError):
    """Every hardware breakpoint or watchpoint slot is taken, or the range cannot be watched."""

    number = errno.ENOSPC


class Refused(TargetError):
    """The system refused an attach or a launch: why, and what the user can do about it."""

    def __init__(self, cause: str, remedy: str = "", number: int | None = None) -> None:
        super().__init__(f"{cause}; {remedy}" if remedy else cause, number)
        self.cause = cause
        self.remedy = remedy


class AttachRefused(Refused):
    """The process cannot be attached to."""


class LaunchFailed(Refused):
    """The program cannot be started. `outcome`: how its process ended, in GDB's words, if it came so far."""

    def __init__(self, cause: str, remedy: str = "", number: int | None = None, outcome: str = "") -> None:
        super().__init__(cause, remedy, number)
        self.outcome = outcome

    def __str__(self) -> str:
        said = super().__str__()
        return f"{said}. {self.outcome}." if self.outcome else said


class ConfigurationError(DebugServerError):
    """What the user asked for on the command line cannot be done: why, and what to do."""

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(f"{cause}\n{remedy}" if remedy else cause)
        self.cause = cause
        self.remedy = remedy


class UsageError(ConfigurationError):
    """The command line itself is wrong."""
