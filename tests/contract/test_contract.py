"""What target/*.py promises, of every kind of target."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import pytest

from debugserver.errors import MemoryFault, NoSuchProcess, NoSuchThread
from debugserver.target.capabilities import Detach, Execution, Kill, Memory, Registers, SoftwareBreakpoints
from debugserver.target.conditions import BreakpointProgram
from debugserver.target.model import Action, ActionKind, Event, Stop, StopReason, ThreadId
from tests.contract.subjects import KINDS, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from debugserver.target.conditions import Command, Condition, ThreadState

Capability = TypeVar("Capability")

CONTINUE = Action(ActionKind.CONTINUE)
STEP = Action(ActionKind.STEP)
NOBODY = 999_999_999
DEADLINE = 10.0


@pytest.fixture(params=list(KINDS))
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with KINDS[request.param]() as subject:
        yield subject


def able(subject: Subject, kind: type[Capability]) -> Capability:
    found = subject.target.capability(kind)
    if found is None:
        pytest.skip(f"this target has no {kind.__name__}")
    return found


def wait_event(execution: Execution) -> Event:
    end = time.monotonic() + DEADLINE
    while (event := execution.next_event()) is None:
        assert time.monotonic() < end, f"nothing happened within {DEADLINE} s"
        execution.wait(50)
    return event


def run(subject: Subject, action: Action = CONTINUE) -> Stop:
    execution = able(subject, Execution)
    execution.resume({subject.thread: action})
    event = wait_event(execution)
    assert isinstance(event, Stop)
    return event


def pc(subject: Subject) -> int:
    architecture = subject.target.architecture(subject.thread.pid)
    return int.from_bytes(
        able(subject, Registers).read_register(subject.thread, architecture.pc), architecture.byteorder
    )


# Ids


def test_what_there_is(subject: Subject) -> None:
    assert list(subject.target.processes()) == [subject.thread.pid]
    assert list(subject.target.threads(subject.thread.pid)) == [subject.thread]
    assert isinstance(subject.target.attached(subject.thread.pid), bool)


@pytest.mark.parametrize("method", ["threads", "architecture", "attached"])
def test_processes_that_are_not_there(subject: Subject, method: str) -> None:
    with pytest.raises(NoSuchProcess):
        getattr(subject.target, method)(NOBODY)


@pytest.mark.parametrize(
    "use",
    [
        lambda registers, thread: registers.read_registers(thread),
        lambda registers, thread: registers.write_registers(thread, b""),
        lambda registers, thread: registers.read_register(thread, 0),
        lambda registers, thread: registers.write_register(thread, 0, bytes(4)),
        lambda registers, thread: registers.read_several(thread, [0]),
    ],
    ids=["read_registers", "write_registers", "read_register", "write_register", "read_several"],
)
def test_threads_that_are_not_there(subject: Subject, use: Callable[[Registers, ThreadId], object]) -> None:
    for thread in (ThreadId(subject.thread.pid, NOBODY), ThreadId(NOBODY, subject.thread.tid)):
        with pytest.raises(NoSuchThread):
            use(able(subject, Registers), thread)


def test_capabilities_do_not_change(subject: Subject) -> None:
    for kind in (Registers, Memory, Execution, SoftwareBreakpoints, Detach, Kill):
        assert subject.target.capability(kind) is subject.target.capability(kind)


# Registers


def test_one_register_is_its_part_of_the_file(subject: Subject) -> None:
    registers = able(subject, Registers)
    architecture = subject.target.architecture(subject.thread.pid)
    file = registers.read_registers(subject.thread)
    assert len(file) == architecture.register_file_size
    assert registers.read_several(subject.thread, range(len(architecture.registers))) == file
    for register in architecture.registers:
        value = registers.read_register(subject.thread, register.number)
        assert value == file[register.offset : register.offset + register.size], register.name


def test_registers_are_written(subject: Subject) -> None:
    registers = able(subject, Registers)
    architecture = subject.target.architecture(subject.thread.pid)
    before = registers.read_registers(subject.thread)
    number = architecture.general[0]
    register = architecture.registers[number]
    value = bytes(range(1, register.size + 1))
    registers.write_register(subject.thread, number, value)
    expected = before[: register.offset] + value + before[register.offset + register.size :]
    assert registers.read_registers(subject.thread) == expected
    registers.write_registers(subject.thread, before)
    assert registers.read_registers(subject.thread) == before


# Memory


def test_memory_is_written(subject: Subject) -> None:
    memory = able(subject, Memory)
    data = bytes(range(100, 116))
    memory.write_memory(subject.thread.pid, subject.data, data)
    assert memory.read_memory(subject.thread.pid, subject.data, 16) == data
    memory.write_memory(subject.thread.pid, subject.data + 3, b"xyz")
    assert memory.read_memory(subject.thread.pid, subject.data, 8) == data[:3] + b"xyz" + data[6:8]


def test_memory_that_is_not_there(subject: Subject) -> None:
    memory = able(subject, Memory)
    with pytest.raises(MemoryFault):
        memory.read_memory(subject.thread.pid, subject.nowhere, 1)
    with pytest.raises(MemoryFault):
        memory.write_memory(subject.thread.pid, subject.nowhere, b"a")


def test_memory_is_read_as_far_as_it_goes(subject: Subject) -> None:
    memory = able(subject, Memory)
    start = memory.read_memory(subject.thread.pid, subject.data, 16)
    much = memory.read_memory(subject.thread.pid, subject.data, 1 << 24)
    assert much.startswith(start)
    assert len(much) < 1 << 24
    assert len(memory.read_memory(subject.thread.pid, subject.data + len(much) - 1, 2)) == 1


def test_memory_of_processes_that_are_not_there(subject: Subject) -> None:
    with pytest.raises(NoSuchProcess):
        able(subject, Memory).read_memory(NOBODY, subject.data, 1)


# Breakpoints


def test_breakpoints_are_hit_every_time(subject: Subject) -> None:
    able(subject, SoftwareBreakpoints).insert_breakpoint(subject.thread.pid, subject.place, 1)
    for _ in range(3):
        stop = run(subject)
        assert (stop.thread, stop.reason) == (subject.thread, StopReason.SOFTWARE_BREAKPOINT)
        assert pc(subject) == subject.place


def test_breakpoints_do_not_show_and_survive_writes(subject: Subject) -> None:
    memory = able(subject, Memory)
    before = memory.read_memory(subject.thread.pid, subject.place, 8)
    able(subject, SoftwareBreakpoints).insert_breakpoint(subject.thread.pid, subject.place, 1)
    assert memory.read_memory(subject.thread.pid, subject.place, 8) == before
    memory.write_memory(subject.thread.pid, subject.place, before)
    assert memory.read_memory(subject.thread.pid, subject.place, 8) == before
    assert run(subject).reason is StopReason.SOFTWARE_BREAKPOINT


def test_what_is_written_over_a_breakpoint_stays_when_it_is_removed(subject: Subject) -> None:
    memory = able(subject, Memory)
    breakpoints = able(subject, SoftwareBreakpoints)
    breakpoints.insert_breakpoint(subject.thread.pid, subject.data, 1)
    memory.write_memory(subject.thread.pid, subject.data, b"new")
    breakpoints.remove_breakpoint(subject.thread.pid, subject.data, 1)
    assert memory.read_memory(subject.thread.pid, subject.data, 3) == b"new"


def test_breakpoints_are_not_counted(subject: Subject) -> None:
    breakpoints = able(subject, SoftwareBreakpoints)
    breakpoints.remove_breakpoint(subject.thread.pid, subject.place, 1)
    for _ in range(2):
        breakpoints.insert_breakpoint(subject.thread.pid, subject.place, 1)
    breakpoints.remove_breakpoint(subject.thread.pid, subject.place, 1)
    assert nothing_but_a_halt_stops_it(subject)


def test_all_breakpoints_are_removed_at_once(subject: Subject) -> None:
    breakpoints = able(subject, SoftwareBreakpoints)
    breakpoints.insert_breakpoint(subject.thread.pid, subject.place, 1)
    breakpoints.clear_breakpoints()
    assert nothing_but_a_halt_stops_it(subject)


def insert(subject: Subject, *conditions: Condition, commands: tuple[Command, ...] = ()) -> None:
    program = BreakpointProgram(conditions, commands)
    able(subject, SoftwareBreakpoints).insert_breakpoint(subject.thread.pid, subject.place, 1, program)


def test_a_condition_is_asked_at_every_hit(subject: Subject) -> None:
    architecture = subject.target.architecture(subject.thread.pid)
    code = able(subject, Memory).read_memory(subject.thread.pid, subject.place, 8)
    seen: list[tuple[int, int, bytes]] = []

    def condition(state: ThreadState) -> bool:
        seen.append((state.register(architecture.pc), state.load(subject.place, 4), state.read(subject.place, 8)))
        return len(seen) == 5

    insert(subject, condition)
    stop = run(subject)
    assert (stop.thread, stop.reason) == (subject.thread, StopReason.SOFTWARE_BREAKPOINT)
    assert pc(subject) == subject.place
    assert seen == [(subject.place, int.from_bytes(code[:4], architecture.byteorder), code)] * 5


def test_one_condition_of_several_is_enough(subject: Subject) -> None:
    insert(subject, lambda state: 0, lambda state: 2)
    assert run(subject).reason is StopReason.SOFTWARE_BREAKPOINT


def test_a_false_condition_is_no_stop(subject: Subject) -> None:
    insert(subject, lambda state: False)
    assert nothing_but_a_halt_stops_it(subject)


def test_a_condition_that_cannot_be_evaluated_stops(subject: Subject) -> None:
    for condition in (
        lambda state: state.load(subject.nowhere, 4),
        lambda state: state.string(subject.nowhere),
        lambda state: state.register(60_000),
    ):
        insert(subject, condition)
        assert run(subject).reason is StopReason.SOFTWARE_BREAKPOINT


def test_commands_are_run_instead_of_a_stop(subject: Subject) -> None:
    done: list[int] = []
    asked: list[int] = []

    def every_other(state: ThreadState) -> int:
        asked.append(1)
        return len(asked) % 2

    insert(subject, every_other, commands=(lambda state: done.append(1), lambda state: done.append(2)))
    execution = able(subject, Execution)
    execution.resume({subject.thread: CONTINUE})
    end = time.monotonic() + DEADLINE
    while len(asked) < 5:
        assert time.monotonic() < end, f"only {len(asked)} hits within {DEADLINE} s"
        assert execution.next_event() is None
        execution.wait(10)
    execution.halt_all()
    assert done == [1, 2] * ((len(asked) + 1) // 2)


def test_commands_are_run_where_a_step_ends(subject: Subject) -> None:
    """Once: a client that sees the thread there counts the breakpoint as hit, and steps over it."""
    breakpoints = able(subject, SoftwareBreakpoints)

    def run_to_place() -> None:
        breakpoints.insert_breakpoint(subject.thread.pid, subject.place, 1)
        run(subject)
        breakpoints.remove_breakpoint(subject.thread.pid, subject.place, 1)

    done: list[int] = []
    run_to_place()
    run(subject, STEP)
    following = pc(subject)
    run_to_place()
    program = BreakpointProgram((), (lambda state: done.append(1),))
    breakpoints.insert_breakpoint(subject.thread.pid, following, 1, program)
    for _ in range(2):
        assert run(subject, STEP).reason is StopReason.STEP
        assert done == [1]


def test_a_second_insertion_replaces_conditions(subject: Subject) -> None:
    insert(subject, lambda state: False)
    insert(subject)
    assert run(subject).reason is StopReason.SOFTWARE_BREAKPOINT
    insert(subject, lambda state: False)
    assert nothing_but_a_halt_stops_it(subject)


def test_a_breakpoint_that_was_removed_leaves_no_condition(subject: Subject) -> None:
    breakpoints = able(subject, SoftwareBreakpoints)
    insert(subject, lambda state: False)
    breakpoints.remove_breakpoint(subject.thread.pid, subject.place, 1)
    breakpoints.insert_breakpoint(subject.thread.pid, subject.place, 1)
    assert run(subject).reason is StopReason.SOFTWARE_BREAKPOINT


def test_a_step_from_a_breakpoint_with_a_false_condition(subject: Subject) -> None:
    insert(subject)
    run(subject)
    stop = run(subject, STEP)
    if stop.reason is StopReason.STEP:  # an emulator does not stop there twice
        run(subject)
    insert(subject, lambda state: False)
    stop = run(subject, STEP)
    assert (stop.thread, stop.reason) == (subject.thread, StopReason.STEP)
    assert pc(subject) != subject.place


def nothing_but_a_halt_stops_it(subject: Subject) -> bool:
    execution = able(subject, Execution)
    execution.resume({subject.thread: CONTINUE})
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        if execution.next_event() is not None:
            return False
        execution.wait(10)
    execution.halt([subject.thread])
    event = wait_event(execution)
    return isinstance(event, Stop) and event.reason is StopReason.HALTED


def test_a_breakpoint_where_there_is_no_memory(subject: Subject) -> None:
    with pytest.raises(MemoryFault):
        able(subject, SoftwareBreakpoints).insert_breakpoint(subject.thread.pid, subject.nowhere, 1)


# Execution


def test_a_step(subject: Subject) -> None:
    before = pc(subject)
    stop = run(subject, STEP)
    assert (stop.thread, stop.reason) == (subject.thread, StopReason.STEP)
    assert pc(subject) != before
    assert able(subject, Execution).last_stop(subject.thread) == stop


def test_a_range_step_leaves_the_range(subject: Subject) -> None:
    start = pc(subject)
    assert run(subject, Action(ActionKind.RANGE_STEP, 0, start, start + 1)).reason is StopReason.STEP
    assert pc(subject) != start


def test_a_thread_runs_from_resume_to_its_event(subject: Subject) -> None:
    execution = able(subject, Execution)
    assert not execution.running(subject.thread)
    assert execution.next_event() is None
    execution.resume({subject.thread: CONTINUE})
    assert execution.running(subject.thread)
    execution.halt([subject.thread])
    wait_event(execution)
    assert not execution.running(subject.thread)
    assert execution.next_event() is None


def test_a_halt_is_reported(subject: Subject) -> None:
    execution = able(subject, Execution)
    for _ in range(3):
        execution.resume({subject.thread: CONTINUE})
        execution.halt([subject.thread])
        event = wait_event(execution)
        assert isinstance(event, Stop)
        assert (event.thread, event.reason) == (subject.thread, StopReason.HALTED)
        assert execution.last_stop(subject.thread).reason is StopReason.HALTED


def test_halting_all_is_not_reported(subject: Subject) -> None:
    execution = able(subject, Execution)
    execution.resume({subject.thread: CONTINUE})
    execution.halt_all()
    assert not execution.running(subject.thread)
    assert execution.next_event() is None
    assert execution.last_stop(subject.thread).reason is StopReason.HALTED
    assert pc(subject) >= 0


def test_halting_one_process(subject: Subject) -> None:
    execution = able(subject, Execution)
    execution.resume({subject.thread: CONTINUE})
    execution.halt_all(subject.thread.pid)
    assert not execution.running(subject.thread)
    assert execution.next_event() is None
    assert execution.last_stop(subject.thread).reason is StopReason.HALTED


def test_halting_what_stands_does_nothing(subject: Subject) -> None:
    execution = able(subject, Execution)
    execution.halt([subject.thread])
    execution.halt_all()
    assert execution.next_event() is None


def test_a_halt_does_not_outlive_its_stop(subject: Subject) -> None:
    able(subject, SoftwareBreakpoints).insert_breakpoint(subject.thread.pid, subject.place, 1)
    execution = able(subject, Execution)
    execution.resume({subject.thread: CONTINUE})
    execution.halt([subject.thread])
    wait_event(execution)
    assert run(subject).reason is StopReason.SOFTWARE_BREAKPOINT
    assert run(subject).reason is StopReason.SOFTWARE_BREAKPOINT


def test_resuming_what_runs_or_is_gone_does_nothing(subject: Subject) -> None:
    execution = able(subject, Execution)
    dead = ThreadId(subject.thread.pid, NOBODY)
    execution.resume({dead: CONTINUE})
    assert not execution.running(dead)
    assert execution.next_event() is None
    execution.resume({subject.thread: CONTINUE})
    execution.resume({subject.thread: STEP, dead: STEP})
    execution.halt([subject.thread, dead])
    event = wait_event(execution)
    assert isinstance(event, Stop)
    assert event.reason is StopReason.HALTED
    assert execution.next_event() is None


def test_the_last_stop_of_threads_that_are_not_there(subject: Subject) -> None:
    with pytest.raises(NoSuchThread):
        able(subject, Execution).last_stop(ThreadId(subject.thread.pid, NOBODY))


# The end


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_killing(subject: Subject, running: bool) -> None:
    execution = able(subject, Execution)
    if running:
        execution.resume({subject.thread: CONTINUE})
    able(subject, Kill).kill(subject.thread.pid)
    assert is_forgotten(subject)


def test_detaching(subject: Subject) -> None:
    able(subject, SoftwareBreakpoints).insert_breakpoint(subject.thread.pid, subject.place, 1)
    able(subject, Detach).detach(subject.thread.pid)
    assert is_forgotten(subject)


def is_forgotten(subject: Subject) -> bool:
    assert list(subject.target.processes()) == []
    assert able(subject, Execution).next_event() is None
    assert not able(subject, Execution).running(subject.thread)
    with pytest.raises(NoSuchThread):
        able(subject, Registers).read_registers(subject.thread)
    with pytest.raises(NoSuchProcess):
        subject.target.threads(subject.thread.pid)
    return True


def test_what_is_gone_cannot_be_killed_or_let_go(subject: Subject) -> None:
    with pytest.raises(NoSuchProcess):
        able(subject, Kill).kill(NOBODY)
    with pytest.raises(NoSuchProcess):
        able(subject, Detach).detach(NOBODY)
