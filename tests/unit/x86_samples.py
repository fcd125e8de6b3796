"""Instructions in Intel syntax, by class, for code of 64 and of 32 bits, and how to assemble them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TWO_OPERANDS = ("mov", "add", "adc", "sub", "sbb", "and", "or", "xor", "cmp", "test")
ONE_OPERAND = ("inc", "dec", "neg", "not")
CONDITIONS = "o no b ae e ne be a s ns p np l ge le g".split()
REGISTERS = {"byte": ("al", "dh", "cl"), "word": ("ax", "si"), "dword": ("eax", "ebp"), "qword": ("rax", "r13")}
MEMORY = {
    64: ("[rbx]", "[rsp+rcx*8+4]", "[rip+0xca90f09]", "fs:[rcx]", "gs:[0x10]", "[ebx+ecx]", "[r9]"),
    32: ("[ebx]", "[esp+ecx*8+4]", "[0x20000f00]", "ds:[ebp+ecx]"),
}

PLACES = {64: ("[rbx]", "[rip+0xca90f09]"), 32: ("[ebx]", "[0x20000f00]")}


def sizes(bits: int) -> list[str]:
    return list(REGISTERS) if bits == 64 else list(REGISTERS)[:3]


def arithmetic(bits: int) -> Iterable[str]:
    for size in sizes(bits):
        first, second, *_ = REGISTERS[size]
        for name in TWO_OPERANDS:
            yield f"{name} {first}, {second}"
            yield f"{name} {second}, {second}"
            yield f"{name} {first}, 0x7f"
            yield f"{name} {second}, -3"
            yield from (f"{name} {size} ptr {memory}, {second}" for memory in MEMORY[bits][:2])
            yield f"{name} {size} ptr {MEMORY[bits][2]}, -2"
            if name != "test":
                yield from (f"{name} {first}, {size} ptr {memory}" for memory in MEMORY[bits])
        for name in ONE_OPERAND:
            yield f"{name} {first}"
            yield f"{name} {size} ptr {MEMORY[bits][1]}"


def moves(bits: int) -> Iterable[str]:
    wide, *pointers = ("rdx", "rbx", "rbp") if bits == 64 else ("edx", "ebx", "ebp")
    yield from ("cbw", "cwde", "cwd", "cdq", "nop", "nop dword ptr [eax+eax]", "endbr64", "endbr32", "xchg ax, ax")
    yield from (f"lea {wide}, {memory}" for memory in MEMORY[bits])
    yield from ("lea si, [ebx+1]", "lea eax, [ebp+ecx*4-8]", "xchg ebx, edx", "xchg al, ah", "mov eax, 0x87654321")
    for name in ("movzx", "movsx"):
        yield from (f"{name} {wide}, bl", f"{name} cx, dh", f"{name} ebp, si", f"{name} eax, byte ptr [{pointers[0]}]")
    for condition in CONDITIONS:
        yield f"cmov{condition} eax, ecx"
        yield f"cmov{condition} {wide}, [{pointers[0]}]"
        yield f"set{condition} ah"
        yield f"set{condition} byte ptr [{pointers[1]}-3]"
    if bits == 64:
        yield from ("cdqe", "cqo", "movsxd rdx, ebx", "movsxd rax, dword ptr [rbx]", "movabs rax, 0x8123456789abcdef")
        yield from ("movabs rax, [0x20000f08]", "mov sil, r9b", "xchg rax, r8", "lea rax, [rbx+r8*8-0x12345]")


def simple(bits: int) -> Iterable[str]:
    yield from ("clc", "stc", "cmc", "cld", "std", "pause", "lfence", "sfence", "mfence", "bswap eax", "bswap ebp")
    yield from (f"prefetch{kind} [ebx]" for kind in ("t0", "t1", "t2", "nta", "w"))
    if bits == 64:
        yield "bswap r13"


def stack(bits: int) -> Iterable[str]:
    accumulator, stack, frame, other = ("rax", "rsp", "rbp", "r11") if bits == 64 else ("eax", "esp", "ebp", "edi")
    for register in (accumulator, stack, frame, other, "ax"):
        yield from (f"push {register}", f"pop {register}")
    yield from (f"push [{stack}+8]", f"push [{frame}]", "push word ptr [ebp]", "push -2", "push 0x12345678", "pushw 7")
    yield from ("leave", "ret", "rep ret", "ret 0x18")


FLAGS = {64: ("pushfq", "pushfw", "popfq", "popfw"), 32: ("pushfd", "pushfw", "popfd", "popfw")}
"""Those that push and pop eflags."""


def branches(bits: int) -> Iterable[str]:
    accumulator, stack, pointer = ("rdx", "rsp", "rbx") if bits == 64 else ("edx", "esp", "ebx")
    for condition in CONDITIONS:
        yield from (f"j{condition} .+0x12", f"j{condition} .-0x12345")
    for name in ("jmp", "call"):
        yield from (f"{name} .+0x40", f"{name} .-0x123456", f"{name} {accumulator}", f"{name} {stack}")
        yield from (f"{name} [{pointer}]", f"{name} [{stack}+16]")


COMPUTED = {"arithmetic": arithmetic, "moves": moves, "simple": simple, "stack": stack, "branches": branches}
"""What is computed."""


def vectors(bits: int) -> Iterable[str]:
    for place in PLACES[bits]:
        yield from (f"movups xmm1, {place}", f"movups {place}, xmm2", f"movaps xmm0, {place}", f"addps xmm3, {place}")
        yield from (f"ucomisd xmm1, {place}", f"cvttsd2si eax, qword ptr {place}", f"pshufd xmm4, {place}, 27")
        yield from (f"movd xmm5, {place}", f"movntps {place}, xmm1", f"pcmpestri xmm1, {place}, 12")
        yield from (f"vaddpd xmm1, xmm2, {place}", f"vbroadcastss xmm0, {place}", f"vpermilps xmm2, {place}, 3")
    yield from ("pxor xmm0, xmm0", "movmskps eax, xmm3", "cvtsi2sd xmm0, ebx", "pextrd edx, xmm2, 1")


def integers(bits: int) -> Iterable[str]:
    for place in PLACES[bits]:
        yield from (f"{name} dword ptr {place}" for name in ("mul", "imul", "div", "idiv"))
        yield from (f"{name} ecx, {place}" for name in ("imul", "bsf", "popcnt", "movbe"))
        yield from (f"{name} dword ptr {place}, 3" for name in ("shl", "sar", "rol", "rcr", "btc"))
        yield from (f"shld {place}, edx, cl", f"cmpxchg8b {place}", f"pop {place}", f"xadd {place}, dl")
    yield from ("cpuid", "lahf", "sahf", "xlatb", "mul ecx", "shl edx, cl")
    yield from ("movsb", "rep movsb", "rep stosd", "repne scasb", "repe cmpsd", "lodsw", "lfence")
    if bits == 64:
        yield from ("cmpxchg16b [rip+0xca90f09]", "rep movsq", "rdfsbase rax")
        yield from ("adcx rax, [rip+0xca90f09]", "mulx rax, rdx, [rip+0xca90f09]", "mov [rip+0xca90f09], ah")
    else:
        yield from ("pushad", "popad", "aam", "daa", "bound eax, [ebx]")


def atomic(bits: int) -> Iterable[str]:
    for place in PLACES[bits]:
        yield from (f"lock {name} {place}, eax" for name in ("add", "xadd", "cmpxchg", "sub"))
        yield from (f"lock inc dword ptr {place}", f"xchg ecx, {place}", f"lock cmpxchg8b {place}")
    if bits == 64:
        yield from ("lock cmpxchg16b [rip+0xca90f07]", "xchg [rip+0xca90f09], r9")


def loops(bits: int) -> Iterable[str]:
    yield from ("loop .+0x20", "loopne .-0x20", "loope .", "jmp .", "call .", "jecxz .+0x30")
    if bits == 64:
        yield from ("jrcxz .+0x30", "call [rip+0xca90f09]", "jmp [rip+0xca90f09]", "push [rip+0xca90f09]")
    else:
        yield from ("jcxz .+0x30", "call .+5")


MOVED = COMPUTED | {"vectors": vectors, "integers": integers, "atomic": atomic, "loops": loops}
"""What can be run elsewhere."""

UNMOVED = {
    64: (
        *("syscall", "sysenter", "int 0x80", "int3", "ud2", "xbegin .+6", "retf", "iretq", "jmp fword ptr [rbx]"),
        *("fld1", "fild dword ptr [rip]", "fnstenv [rbx]", "fcomi st, st(1)"),
        *("mov ss, eax", "sldt eax", "sidt [rbx]", "sti", "enter 16, 1", "data16 ret", "data16 jmp rax"),
    ),
    32: (
        "int 0x80",
        "pop ss",
        "call far ptr [ebx]",
        "call 0x23:0x1000",
        "iret",
        "fld1",
        "str ax",
        "call ax",
        "data16 jmp .+9",
    ),
}
"""What cannot."""

UNCOMPUTED = {
    64: (
        *("lock add [rbx], eax", "xchg [rbx], eax", "rep movsb", "shl eax, 3", "mul ecx", "pop [rbx]", "mov eax, ds"),
        *("mov ds, eax", "push fs", "addps xmm0, [rbx]", "syscall", "data16 ret", "retf", "jmp fword ptr [rbx]"),
    ),
    32: (
        "mov eax, gs:[0]",
        "mov fs:[ebx], eax",
        "mov cs:[ebx], eax",
        "push ds",
        "pop es",
        "call ax",
        "retw",
        "int 0x80",
    ),
}
"""What is left to the CPU."""


def assemble(folder: Path, bits: int, *texts: str) -> list[bytes]:
    """Their bytes: of each the longest that an instruction may have, with others behind it."""
    distance = 16
    data = assemble_block(folder, bits, *(f"{text}\n.balign {distance}, 0xcc" for text in texts))
    return [data[start : start + distance - 1] for start in range(0, len(data), distance)]


def assemble_block(folder: Path, bits: int, *lines: str) -> bytes:
    """The bytes of a piece of code."""
    source, result, binary = (folder / f"code{bits}.{suffix}" for suffix in ("s", "o", "bin"))
    source.write_text("\n".join([".intel_syntax noprefix", *lines, ""]))
    subprocess.run(["as", f"--{bits}", "-o", result, source], check=True, timeout=60)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", result, binary], check=True, timeout=60)
    return binary.read_bytes()
