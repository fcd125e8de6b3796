"""Ours and GNU gdbserver, side by side."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.differential import PROGRAM, Side, compare
from tests.support.server import gnu_gdbserver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="package", autouse=True)
def _installed() -> None:
    program = gnu_gdbserver()
    if program is None or not program.exists():
        pytest.skip("GNU gdbserver is not installed (gdb-for-pwndbg)")


@pytest.fixture
def both(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`both(scenario, *command, offered=...)`; see `compare`."""
    return functools.partial(compare, request.config.getoption("--server"))


class Pair(NamedTuple):
    """Two servers, both with the program stopped in stop_here."""

    gnu: Side
    ours: Side

    def ask(self, packet: bytes, view: Callable[[Side, bytes], object]) -> tuple[object, object]:
        """What GNU gdbserver and we answer, made comparable."""
        gnu, ours = (view(side, side.ask(side.named(packet))) for side in self)
        return gnu, ours


@pytest.fixture(scope="module")
def stopped(request: pytest.FixtureRequest) -> Iterator[Pair]:
    server = request.config.getoption("--server")
    with Side("gnu", "localhost:0", PROGRAM) as gnu, Side(server, "localhost:0", PROGRAM) as ours:
        for side in (gnu, ours):
            side.run_to("stop_here")
        yield Pair(gnu, ours)
