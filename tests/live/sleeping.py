"""A program whose threads sleep in system calls that the kernel restarts in different ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.processes import system_call, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.live.session import Session

READ, SLEEPING = {0}, {35, 230, 219}
"""System calls (asm/unistd_64.h): nanosleep, clock_nanosleep, and restart_syscall by which one that was interrupted
goes on."""


def asleep(debug: Callable[..., Session]) -> tuple[Session, int, int]:
    """Everything stands still; a thread is in read(2), another one in nanosleep(2)."""
    session = debug("sleepers")
    pid = session.pid
    session.client.resume()

    def both() -> bool:
        from_outside = [session.look("reader_id"), session.look("sleeper_id")]
        if not all(from_outside):
            return False
        reader, sleeper = from_outside
        return system_call(pid, reader) in READ and system_call(pid, sleeper) in SLEEPING

    wait_until(both, "both threads sleep")
    session.interrupt()
    return session, session.read_int("reader_id"), session.read_int("sleeper_id")
