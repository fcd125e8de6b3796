"""What only LLDB asks for, and what it gets otherwise than GDB. Source: LLVM's lldbgdbremote document."""

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from debugserver.target.capabilities import Allocation, LibraryList, Memory, MemoryMap, RegisterState, Watchpoints
from debugserver.target.model import Action, ActionKind, ProcessExit, Region, Stop, StopReason, ThreadId
from debugserver.testing.fake_target import FakeTarget
from tests.support.packets import LLDB, NO_REPLY, ask, connect, frame, send, stop_reply, take, transcript, unescape

if TYPE_CHECKING:
    from debugserver.stub.stub import Stub

MAIN = ThreadId(0x10, 0x10)
OTHER = ThreadId(0x10, 0x11)
CHILD = ThreadId(0x20, 0x20)
SIGNALLED = Stop(MAIN, signal.SIGUSR1, StopReason.SIGNAL)


def two_threads(*events: Stop | ProcessExit, **options: Any) -> FakeTarget:
    """Process 16 with threads 16 and 17, 16 bytes of memory at 0x100; `events` follow the first resume."""
    left = list(events)

    def happen(target: FakeTarget, actions: object) -> list[Stop | ProcessExit]:
        happened, left[:] = left[:], []
        return happened

    target = FakeTarget(happen, **options) if events else FakeTarget(**options)
    target.add_process(MAIN.pid, (MAIN.tid, OTHER.tid))
    target.memory[0x100] = bytearray(range(16))
    return target


def trap(reason: StopReason, address: int = 0) -> Stop:
    return Stop(MAIN, signal.SIGTRAP, reason, address)


def lldb(target: FakeTarget, *packets: bytes) -> Stub:
    """A session of LLDB in which each of `packets` got OK."""
    stub = connect(target, LLDB)
    transcript(stub, [(packet, b"OK") for packet in packets])
    return stub


def pairs(reply: bytes | None) -> dict[str, str]:
    return dict(stop_reply(reply).pairs)


def from_json(reply: bytes | None) -> Any:
    assert reply
    return json.loads(unescape(reply))


@pytest.fixture
def target() -> FakeTarget:
    return two_threads()


@pytest.fixture
def stub(target: FakeTarget) -> Stub:
    return lldb(target, b"QThreadSuffixSupported")


# Negotiation


def test_only_what_lldb_knows_is_advertised(target: FakeTarget) -> None:
    reply = ask(connect(target, LLDB), b"qSupported:" + LLDB) or b""
    names = {item.rstrip("+").partition("=")[0] for item in reply.decode().split(";")}
    assert {"QThreadSuffixSupported", "QListThreadsInStopReply", "qEcho", "jMultiBreakpoint", "MultiMemRead"} <= names
    assert not {"vContSupported", "swbreak", "binary-upload", "QThreadEvents", "native-signals"} & names


def test_what_gdb_is_told_has_nothing_of_lldbs(target: FakeTarget) -> None:
    gdb = connect(target)
    transcript(
        gdb,
        [(packet, b"") for packet in (b"QThreadSuffixSupported", b"qEcho:1", b"jThreadsInfo", b"qMemoryRegionInfo:0")],
    )


def test_the_list_of_features_may_follow_a_semicolon(target: FakeTarget) -> None:
    assert b"PacketSize" in (ask(connect(target, LLDB), b"qSupported;multiprocess+;fork-events+") or b"")


def test_echo(stub: Stub) -> None:
    transcript(stub, [(b"qEcho:17", b"qEcho:17")])


@pytest.mark.parametrize(
    ("asked", "reply"),
    [
        (b"response_size:16;data:", b"data:ABCDEFGHIJKLMNOP;"),
        (b"response_size:7;data:aaaa", b"data:ABCDEFG;"),
        (b"response_size:7;data:a;b;", b"data:ABCDEFG;"),
        (b"response_size:30;", b"data:ABCDEFGHIJKLMNOPQRSTUVWXYZABCD;"),
        (b"response_size:0;data:", b"OK"),
        (b"response_size:x;", b"E22"),
        (b"response_size:5", b"E22"),
        (b"data:aa;response_size:5;", b"E22"),
        (b"", b"E22"),
    ],
)
def test_speed(stub: Stub, asked: bytes, reply: bytes) -> None:
    """As lldb-server answers; LLDB always sends `data`."""
    transcript(stub, [(b"qSpeedTest:" + asked, reply)])


def test_speed_of_the_largest_packet(stub: Stub) -> None:
    size = int(re.findall(rb"PacketSize=(\w+)", ask(stub, b"qSupported:" + LLDB) or b"")[0], 16)
    reply = ask(stub, b"qSpeedTest:response_size:%d;" % (1 << 40)) or b""
    assert len(reply) == size
    assert reply.endswith(b";")


def test_errors_have_a_sentence_once_asked_for(target: FakeTarget) -> None:
    transcript(lldb(target), [(b"Z0,1,1", b"E01")])
    sentence = b"cannot access memory at address 0x1".hex().encode()
    transcript(lldb(target, b"QEnableErrorStrings"), [(b"Z0,1,1", b"E01;" + sentence)])


@pytest.mark.parametrize(
    ("packet", "error", "words"),
    [
        (b"m300,4", b"E01", "cannot access memory at address 0x300"),
        (b"_M0,rw", b"E22", "a size and letters of rwx are needed"),
        (b"_Mxy,rw", b"E22", "not a hex number"),
        (b"Hg99", b"E15", "thread 153"),
        (b"vCont;z", b"E03", "no such action"),
    ],
)
def test_all_errors_have_one(target: FakeTarget, packet: bytes, error: bytes, words: str) -> None:
    """In the document's form: `EXX;` and the sentence in hex."""
    stub = lldb(target, b"QThreadSuffixSupported", b"QEnableErrorStrings")
    number, separator, sentence = (ask(stub, packet) or b"").partition(b";")
    assert (number, separator) == (error, b";")
    assert words in bytes.fromhex(sentence.decode()).decode()
    assert sentence


@pytest.mark.parametrize("packet", [b"jThreadsInfo", b"qC", b"T10"])
def test_no_process_is_told_in_a_sentence(packet: bytes) -> None:
    stub = lldb(FakeTarget(), b"QEnableErrorStrings")
    assert re.fullmatch(rb"E\w\w;([0-9a-f]{2})+", ask(stub, packet) or b"")


def test_dummy_checksums_and_no_runs(target: FakeTarget) -> None:
    stub = lldb(target, b"QStartNoAckMode")
    stub.receive_data(b"$g#00")
    assert stub.data_to_send() == frame(b"0" * 32)


# The thread behind the arguments


def test_registers_of_the_named_thread(target: FakeTarget, stub: Stub) -> None:
    target.set_pc(OTHER, 0x1234)
    transcript(
        stub,
        [
            (b"p3;thread:11;", b"34120000"),
            (b"p3;thread:10;", b"00000000"),
            (b"P0=01000000;thread:11;", b"OK"),
            (b"g;thread:11;", b"01000000" + b"0" * 16 + b"34120000"),
            (b"G" + b"ff" * 16 + b";thread:11;", b"OK"),
            (b"p3;thread:p10.11;", b"ffffffff"),
            (b"p3", b"00000000"),
            (b"p3;thread:99;", b"E01"),
            (b"p3;thread:zz;", b"E22"),
        ],
    )


def test_the_chosen_thread_stays_chosen(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"Hgp10.11", b"OK"), (b"p3;thread:10;", b"00000000"), (b"qC", b"QCp10.11")])


def test_without_the_agreement_there_is_no_suffix(target: FakeTarget) -> None:
    transcript(lldb(target), [(b"p3;thread:11;", b"E22")])


def test_memory_may_hold_what_looks_like_a_suffix(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"X100,b:;thread:11;", b"OK"), (b"m100,b", b";thread:11;".hex().encode())])


# States of registers


def test_a_state_is_kept_and_restored_once(target: FakeTarget, stub: Stub) -> None:
    target.set_pc(OTHER, 0x1234)
    number = ask(stub, b"QSaveRegisterState;thread:11;") or b""
    assert number.isdigit()
    assert int(number)
    target.set_pc(OTHER, 0x5678)
    restore = b"QRestoreRegisterState:" + number
    transcript(stub, [(restore + b";thread:10;", b"E01"), (restore + b";thread:11;", b"OK")])
    assert target.pc(OTHER) == 0x1234
    transcript(stub, [(restore + b";thread:11;", b"E01"), (b"QRestoreRegisterState:x;thread:11;", b"E22")])


def test_states_have_different_numbers(target: FakeTarget, stub: Stub) -> None:
    target.set_pc(MAIN, 1)
    first = ask(stub, b"QSaveRegisterState;thread:10;") or b""
    target.set_pc(MAIN, 2)
    second = ask(stub, b"QSaveRegisterState;thread:10;") or b""
    for number, pc in ((first, 1), (second, 2)):
        transcript(stub, [(b"QRestoreRegisterState:%b;thread:10;" % number, b"OK")])
        assert target.pc(MAIN) == pc


# Memory of the client's own


def test_memory_is_allocated_and_given_back(target: FakeTarget, stub: Stub) -> None:
    address = ask(stub, b"_Mf00,rwx") or b""
    assert target.allocations == {int(address, 16): "rwx"}
    transcript(stub, [(b"m%b,2" % address, b"0000"), (b"_m" + address, b"OK"), (b"_m" + address, b"E22")])
    assert not target.allocations


@pytest.mark.parametrize("packet", [b"_M", b"_M10", b"_M10,q", b"_M0,rw", b"_Mxy,rw", b"_m", b"_mxy"])
def test_allocation_malformed(target: FakeTarget, stub: Stub, packet: bytes) -> None:
    transcript(stub, [(packet, b"E22")])
    assert not target.allocations


def test_what_was_allocated_goes_with_the_client(target: FakeTarget, stub: Stub) -> None:
    assert ask(stub, b"_M1000,rw")
    stub.close()
    assert not target.allocations


# Signals


def test_signals_are_the_systems_own_once_suffixes_are_agreed_on() -> None:
    stub = lldb(two_threads(SIGNALLED), b"QThreadSuffixSupported")
    assert stop_reply(ask(stub, b"c")).signal == 10


def test_signals_are_gdbs_until_then() -> None:
    assert stop_reply(ask(lldb(two_threads(SIGNALLED)), b"c")).signal == 30


def test_native_signals_may_be_offered() -> None:
    target = two_threads(SIGNALLED)
    stub = connect(target, LLDB + b";native-signals+")
    assert b"native-signals+" in (ask(stub, b"qSupported:native-signals+") or b"")
    assert stop_reply(ask(stub, b"c")).signal == 10


@pytest.mark.parametrize("packet", [b"C0a", b"vCont;C0a:p10.-1"])
def test_signals_given_are_native_too(packet: bytes) -> None:
    target = two_threads(SIGNALLED)
    ask(lldb(target, b"QThreadSuffixSupported"), packet)
    assert target.resumed[0][MAIN] == Action(ActionKind.CONTINUE, signal.SIGUSR1)


def test_a_signal_that_does_not_exist(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"C41", b"E22"), (b"vCont;Cff", b"E03")])
    assert not target.resumed


def test_the_signal_of_an_end_is_native() -> None:
    target = two_threads(ProcessExit(0x10, 0, signal.SIGUSR1))
    transcript(lldb(target, b"QThreadSuffixSupported"), [(b"c", b"X0a;process:10")])


# Stop replies


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (trap(StopReason.SOFTWARE_BREAKPOINT, 0x104), {"reason": "breakpoint"}),
        (trap(StopReason.HARDWARE_BREAKPOINT, 0x104), {"reason": "breakpoint"}),
        (trap(StopReason.STEP), {"reason": "trace"}),
        (
            trap(StopReason.WRITE_WATCHPOINT, 0x104)._replace(number=2),
            {"reason": "watchpoint", "description": b"260 2 18446744073709551615".hex()},
        ),
        (
            trap(StopReason.ACCESS_WATCHPOINT, 8),
            {"reason": "watchpoint", "description": b"8 0 18446744073709551615".hex()},
        ),
        (trap(StopReason.EXEC), {"reason": "exec"}),
        (trap(StopReason.FORK)._replace(child=CHILD), {"reason": "fork", "fork": "p20.20"}),
        (trap(StopReason.VFORK)._replace(child=CHILD), {"reason": "vfork", "vfork": "p20.20"}),
        (trap(StopReason.VFORK_DONE), {"reason": "vforkdone"}),
        (SIGNALLED, {"reason": "signal"}),
    ],
)
def test_reasons(stop: Stop, reason: dict[str, str]) -> None:
    stub = lldb(two_threads(stop), b"QThreadSuffixSupported")
    reply = ask(stub, b"c")
    assert pairs(reply) == {"thread": "p10.10", "name": "fake", "02": "00000000", "03": "00000000", **reason}


def test_what_caused_a_signal() -> None:
    target = two_threads(Stop(MAIN, signal.SIGSEGV, StopReason.SIGNAL))
    target.causes[MAIN] = "address not mapped to object (fault address=0x8)"
    reply = pairs(ask(lldb(target, b"QThreadSuffixSupported"), b"c"))
    assert bytes.fromhex(reply["description"]) == b"signal SIGSEGV: address not mapped to object (fault address=0x8)"


def test_the_thread_comes_first(stub: Stub) -> None:
    assert (ask(stub, b"?") or b"").startswith(b"T13thread:p10.10;name:fake;")


def test_a_program_at_its_start_is_not_trapped(target: FakeTarget, stub: Stub) -> None:
    """LLDB has a breakpoint of its own at the entry, and would take a SIGTRAP there for a hit."""
    assert stop_reply(ask(stub, b"?")).signal == signal.SIGSTOP
    assert stop_reply(ask(connect(target), b"?")).signal == 5


def test_a_name_that_is_no_plain_text(target: FakeTarget, stub: Stub) -> None:
    target.names[MAIN] = "a;b:c"
    reply = pairs(ask(stub, b"?"))
    assert reply["hexname"] == b"a;b:c".hex()
    assert "name" not in reply


def test_the_threads_of_a_stop(target: FakeTarget) -> None:
    target.set_pc(OTHER, 0x1234)
    reply = pairs(ask(lldb(target, b"QThreadSuffixSupported", b"QListThreadsInStopReply"), b"?"))
    assert reply["threads"] == "10,11"
    assert reply["thread-pcs"] == "0000000000000000,0000000000001234"
    others = json.loads(bytes.fromhex(reply["jstopinfo"]))
    assert others == [{"tid": tid, "reason": "signal", "signal": 19} for tid in (16, 17)]


def test_what_happened_to_other_threads_meanwhile_is_told_at_once() -> None:
    """LLDB steps several threads over a breakpoint together, and waits for each of them."""
    target = two_threads(trap(StopReason.STEP), Stop(OTHER, signal.SIGTRAP, StopReason.STEP))
    stub = lldb(target, b"QThreadSuffixSupported", b"QListThreadsInStopReply")
    reply = pairs(ask(stub, b"vCont;s:p10.10;s:p10.11"))
    reasons = json.loads(bytes.fromhex(reply["jstopinfo"]))
    assert [(thread["tid"], thread["reason"]) for thread in reasons] == [(16, "trace"), (17, "trace")]
    assert ask(stub, b"vCont;c") is NO_REPLY


def test_a_halted_thread_has_no_reason() -> None:
    target = two_threads(SIGNALLED)
    stub = lldb(target, b"QThreadSuffixSupported", b"QListThreadsInStopReply")
    main, other = json.loads(bytes.fromhex(pairs(ask(stub, b"c"))["jstopinfo"]))
    assert (main["tid"], main["reason"]) == (16, "signal")
    assert other == {"tid": 17}
    reply = ask(stub, b"qThreadStopInfo11") or b""
    assert reply.startswith(b"T00thread:p10.11;")
    assert b"reason" not in reply


def test_the_top_of_the_stack_comes_along(target: FakeTarget, stub: Stub) -> None:
    target.memory[0x1000] = bytearray(b"\xab" * 0x1000)
    transcript(stub, [(b"P2=00180000", b"OK")])
    address, _, content = pairs(ask(stub, b"?"))["memory"].partition("=")
    start, end = int(address, 16), int(address, 16) + len(content) // 2
    assert start <= 0x1800 - 128
    assert end >= 0x1800 + 256
    assert set(bytes.fromhex(content)) == {0xAB}


def test_the_stop_of_one_thread(target: FakeTarget, stub: Stub) -> None:
    target.set_pc(OTHER, 0x1234)
    assert pairs(ask(stub, b"qThreadStopInfo11"))["03"] == "34120000"
    transcript(stub, [(b"qThreadStopInfo99", b"E01"), (b"qThreadStopInfo", b"E22")])


def test_a_thread_whose_number_begins_with_a_letter() -> None:
    target = FakeTarget()
    target.add_process(0xABC)
    stub = lldb(target, b"QThreadSuffixSupported")
    assert pairs(ask(stub, b"qThreadStopInfoabc"))["thread"] == "pabc.abc"


def test_all_threads_at_once(target: FakeTarget, stub: Stub) -> None:
    target.set_pc(OTHER, 0x1234)
    target.names[OTHER] = 'quo"ted}'
    first, second = from_json(ask(stub, b"jThreadsInfo"))
    assert (first["tid"], first["reason"], first["signal"], first["name"]) == (16, "signal", 19, "fake")
    assert (second["tid"], second["name"]) == (17, 'quo"ted}')
    assert second["registers"] == {"2": "00000000", "3": "34120000"}


def test_a_thread_that_runs_is_left_out(target: FakeTarget) -> None:
    stub = lldb(target, b"QThreadSuffixSupported", b"QNonStop:1")
    assert ask(stub, b"vCont;c:p10.11") == b"OK"
    assert [thread["tid"] for thread in from_json(ask(stub, b"jThreadsInfo"))] == [16]
    assert re.fullmatch(rb"E\d\d", ask(stub, b"qThreadStopInfo11") or b"")


# Memory


def test_memory_is_read_as_bytes_alone(target: FakeTarget, stub: Stub) -> None:
    target.memory[0x200] = bytearray(b"#$}*ab")
    transcript(stub, [(b"x0,0", b"OK"), (b"x300,1", b"E01")])
    assert unescape(ask(stub, b"x200,6") or b"") == b"#$}*ab"


def test_several_ranges_at_once(target: FakeTarget, stub: Stub) -> None:
    target.memory[0x200] = bytearray(b"#$}*ab")
    assert unescape(ask(stub, b"MultiMemRead:ranges:200,3,100,2;") or b"") == b"3,2;#$}\0\1"
    transcript(stub, [(b"MultiMemRead:ranges:0,0;", b"0;"), (b"MultiMemRead:ranges:300,4,204,2;", b"0,2;ab")])


@pytest.mark.parametrize(
    "args", [b"", b":", b":ranges:", b":ranges:10;", b":ranges:10,2", b":ranges:10,2,3;", b":x:10,2;"]
)
def test_ranges_malformed(stub: Stub, args: bytes) -> None:
    assert re.fullmatch(rb"E\d\d", ask(stub, b"MultiMemRead" + args) or b"")


REGIONS = [
    Region(0x1000, 0x3000, "rx", "/bin/fake"),
    Region(0x3000, 0x4000, "rw", "/bin/fake"),
    Region(0x8000, 0x9000, "", ""),
]
NAME = b"/bin/fake".hex().encode()


@pytest.mark.parametrize(
    ("address", "reply"),
    [
        (b"0", b"start:0;size:1000;"),
        (b"1000", b"start:1000;size:2000;permissions:rx;name:" + NAME + b";"),
        (b"2fff", b"start:1000;size:2000;permissions:rx;name:" + NAME + b";"),
        (b"3000", b"start:3000;size:1000;permissions:rw;name:" + NAME + b";"),
        (b"4000", b"start:4000;size:4000;"),
        (b"8123", b"start:8000;size:1000;permissions:;name:;"),
        (b"9000", b"start:9000;size:ffffffffffff6fff;"),
        (b"xy", b"E22"),
        (b"", b"OK"),
    ],
)
def test_regions(target: FakeTarget, stub: Stub, address: bytes, reply: bytes) -> None:
    target.memory_map = REGIONS
    transcript(stub, [(b"qMemoryRegionInfo:" + address, reply)])


def test_the_map_has_one_end_for_every_address(target: FakeTarget, stub: Stub) -> None:
    """Where lldb-server's last region ends, for all sizes of pointers: LLDB 23 asks on until one does."""
    target.memory_map = REGIONS
    for address in (0xFFFFFFFF, 1 << 32, (1 << 64) - 1):
        transcript(stub, [(b"qMemoryRegionInfo:%x" % address, b"start:9000;size:ffffffffffff6fff;")])


def test_where_a_file_is_mapped(target: FakeTarget, stub: Stub) -> None:
    target.memory_map = REGIONS
    transcript(stub, [(b"qFileLoadAddress:" + NAME, b"1000"), (b"qFileLoadAddress:" + b"/x".hex().encode(), b"E01")])
    transcript(stub, [(b"qFileLoadAddress:zz", b"E22")])


def test_where_the_loader_keeps_its_list(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"qShlibInfoAddr", b"E01")])
    target.loader_place = 0x5678
    transcript(stub, [(b"qShlibInfoAddr", b"5678")])


# Breakpoints


def test_a_read_watchpoint_watches_accesses(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"Z3,104,4", b"OK"), (b"z3,104,4", b"OK"), (b"qWatchpointSupportInfo:", b"num:4;")])


def test_several_breakpoints_at_once(target: FakeTarget, stub: Stub) -> None:
    requests = {"breakpoint_requests": ["Z0,101,1", "Z0,1,1", "Z0,102,1", "z0,101,1", "Z9,1,1"]}
    reply = from_json(ask(stub, b"jMultiBreakpoint:" + json.dumps(requests).encode()))
    assert reply == {"results": ["OK", "E01", "OK", "OK", ""]}
    assert set(target.breakpoints) == {(0x10, 0x102)}


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{", b"[]", b"{}", b'{"breakpoint_requests":1}', b'{"breakpoint_requests":[1]}'),
        b'{"breakpoint_requests":["g"]}',
    ],
)
def test_several_breakpoints_malformed(stub: Stub, text: bytes) -> None:
    transcript(stub, [(b"jMultiBreakpoint:" + text, b"E22")])


@pytest.mark.parametrize("packet", [b"Z2,100,0", b"Z3,100,0", b"Z4,100,0"])
def test_nothing_of_no_length_is_watched(target: FakeTarget, stub: Stub, packet: bytes) -> None:
    """An error as with lldb-server; GNU gdbserver says OK."""
    transcript(stub, [(packet, b"E22")])
    assert not target.watchpoints


# Ends


def test_kill_has_a_reply(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"k", b"X09;process:10")])
    assert target.killed == [0x10]


def test_kill_has_a_reply_for_each_process(target: FakeTarget, stub: Stub) -> None:
    target.add_process(CHILD.pid)
    assert send(stub, b"k").packets == [b"X09;process:10", b"X09;process:20"]


def test_kill_has_a_reply_without_a_process() -> None:
    transcript(lldb(FakeTarget()), [(b"k", b"X09")])


def test_detaching_from_all_processes(target: FakeTarget, stub: Stub) -> None:
    target.add_process(CHILD.pid)
    transcript(stub, [(b"D", b"OK")])
    assert target.detached == [0x10, 0x20]


# One process runs at a time, and runs as a whole


@pytest.mark.parametrize("packet", [b"vCont;c", b"vCont;c:p-1.-1", b"vCont;c:p10.10;c:p20.20", b"vCont;t:p10.10"])
def test_two_processes_in_one_vcont(target: FakeTarget, stub: Stub, packet: bytes) -> None:
    """As lldb-server answers (TestGdbRemoteFork)."""
    target.add_process(CHILD.pid)
    transcript(stub, [(packet, b"E03")])
    assert not target.resumed
    assert ask(stub, b"vCont;c:p20.-1") is NO_REPLY


@pytest.mark.parametrize(("packet", "signal"), [(b"c", 0), (b"C0a", 10)])
def test_the_others_of_the_process_continue_beside_the_chosen_thread(
    target: FakeTarget, stub: Stub, packet: bytes, signal: int
) -> None:
    target.add_process(CHILD.pid)
    transcript(stub, [(b"Hcp10.11", b"OK")])
    ask(stub, packet)
    assert target.resumed == [{MAIN: Action(ActionKind.CONTINUE), OTHER: Action(ActionKind.CONTINUE, signal)}]


def test_a_step_is_the_chosen_threads(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"Hcp10.11", b"OK")])
    ask(stub, b"s")
    assert target.resumed == [{OTHER: Action(ActionKind.STEP)}]


def test_detaching_with_a_long_pid(target: FakeTarget, stub: Stub) -> None:
    transcript(stub, [(b"D;0000000000000010", b"OK")])
    assert target.detached == [0x10]


@pytest.mark.parametrize("packet", [b"D1", b"D1;0000000000000010"])
def test_detaching_and_leaving_it_stopped(target: FakeTarget, stub: Stub, packet: bytes) -> None:
    transcript(stub, [(b"qSupportsDetachAndStayStopped:", b"OK"), (b"D2", b"E22"), (packet, b"OK")])
    assert (target.detached, target.left_stopped) == ([], [0x10])


# Without


@pytest.mark.parametrize(
    "packet",
    [
        *(b"qMemoryRegionInfo:0", b"qFileLoadAddress:00", b"qShlibInfoAddr", b"qWatchpointSupportInfo:"),
        *(b"MultiMemRead:ranges:0,0;", b"_M1000,rw", b"_m1000", b"QSaveRegisterState", b"QRestoreRegisterState:1"),
    ],
)
def test_an_absent_capability_is_an_empty_reply(packet: bytes) -> None:
    target = two_threads(without=(Allocation, RegisterState, LibraryList, Memory, MemoryMap, Watchpoints))
    transcript(lldb(target), [(packet, b"")])


@pytest.mark.parametrize(
    "packet",
    [
        *(b"qMemoryRegionInfo:0", b"qFileLoadAddress:00", b"qShlibInfoAddr", b"jThreadsInfo", b"qThreadStopInfo1"),
        *(b"MultiMemRead:ranges:0,0;", b'jMultiBreakpoint:{"breakpoint_requests":[]}'),
        *(b"_M1000,rw", b"_m1000", b"QSaveRegisterState", b"QRestoreRegisterState:1"),
    ],
)
def test_no_process_is_an_error(packet: bytes) -> None:
    assert re.fullmatch(rb"E\d\d", ask(lldb(FakeTarget()), packet) or b"")


def test_an_interrupt_stops_with_sigint(stub: Stub) -> None:
    assert ask(stub, b"vCont;c:p10.-1") is NO_REPLY
    stub.receive_data(b"\x03")
    stub.target_event()
    (reply,) = take(stub).packets
    assert (stop_reply(reply).signal, pairs(reply)["reason"]) == (2, "signal")
    # Whoever asks again is told the same: of one thread a reason, of the others none.
    threads = from_json(ask(stub, b"jThreadsInfo"))
    assert [thread.get("signal") for thread in threads] == [2, None]
    assert [stop_reply(ask(stub, b"qThreadStopInfo%x" % t.tid)).signal for t in (MAIN, OTHER)] == [2, 0]
    assert stop_reply(ask(stub, b"?")).signal == 2
    ask(stub, b"vCont;s:p10.11;c")
    assert stop_reply(ask(stub, b"qThreadStopInfo10")).signal == 0


def test_an_interrupt_that_comes_too_late_is_answered_by_the_stop_that_came_before(stub: Stub) -> None:
    stub.receive_data(b"\x03")
    assert ask(stub, b"vCont;c") is NO_REPLY
    stub.target_event()
    assert take(stub).packets == []


def test_a_breakpoint_answers_an_interrupt() -> None:
    target = two_threads()
    stub = lldb(target, b"QThreadSuffixSupported")
    assert ask(stub, b"vCont;c") is NO_REPLY
    target.happen(trap(StopReason.SOFTWARE_BREAKPOINT, 0x104))
    stub.receive_data(b"\x03")
    stub.target_event()
    (reply,) = take(stub).packets
    assert pairs(reply)["reason"] == "breakpoint"
    assert ask(stub, b"vCont;c") is NO_REPLY


def test_non_stop_reports_in_lldbs_words() -> None:
    stub = lldb(two_threads(SIGNALLED), b"QThreadSuffixSupported", b"QNonStop:1")
    (notification,) = send(stub, b"vCont;c").notifications
    assert notification.startswith(b"Stop:T0athread:p10.10;")
