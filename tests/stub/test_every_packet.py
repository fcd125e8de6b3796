"""What every row of the table must stand: missing and senseless arguments, no process, a thread that is gone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from debugserver.stub.registry import PACKETS
from debugserver.stub.settings import Settings
from debugserver.target.model import ThreadId
from debugserver.testing.fake_target import FakeTarget
from tests.support.packets import GDB, LLDB, connect, send

if TYPE_CHECKING:
    from debugserver.stub.stub import Stub

ARGUMENTS = (
    *(b"", b":", b";", b",", b"0", b":0", b":zz", b",zz", b"zz", b"-1", b":0,0", b"100,4", b"100,4:", b";0;0", b"=1"),
    *(
        b":ff" * 9,
        b";thread:10;",
        b";thread:zz;",
        b";thread:99;",
        b"\xff\x00",
        b":{",
        b":[]",
        b"::0,ffffffffffffffffff",
    ),
)
"""As they stand behind a name."""
OFFERED = {"gdb": GDB, "lldb": LLDB}


def session(client: str, *, process: bool) -> tuple[Stub, list[tuple[bytes, Exception]]]:
    """A session, and the bugs that show in it."""
    target = FakeTarget()
    if process:
        target.add_process(0x10, (0x10, 0x11))
        target.memory[0x100] = bytearray(16)
    bugs: list[tuple[bytes, Exception]] = []
    settings = Settings()
    settings.report_bug = lambda packet, error: bugs.append((packet, error))
    stub = connect(target, OFFERED[client], settings)
    if client == "lldb":
        send(stub, b"QThreadSuffixSupported")
    if process:
        send(stub, b"Hgp10.11")
        target.remove_thread(ThreadId(0x10, 0x11))
    return stub, bugs


@pytest.mark.parametrize("process", [True, False], ids=["process", "no process"])
@pytest.mark.parametrize("client", OFFERED)
@pytest.mark.parametrize("name", sorted(PACKETS))
def test_senseless_arguments(name: str, client: str, process: bool) -> None:
    stub, bugs = session(client, process=process)
    for arguments in ARGUMENTS:
        packet = name.encode() + arguments
        replies = send(stub, packet).packets
        assert not bugs, bugs
        for reply in replies:
            # GDB takes more than two digits for no error at all.
            assert not re.match(rb"E[0-9a-f]+\Z", reply) or len(reply) == 3, (packet, reply)
