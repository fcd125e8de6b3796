"""The general registers as Linux keeps them on x86-64, for 64-bit and 32-bit programs alike: struct user_regs_struct
(sys/user.h), which NT_PRSTATUS is, and the segment selectors that tell the two kinds apart."""

from __future__ import annotations

# fmt: off
USER_REGS = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi", "orig_rax",
    "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
)
# fmt: on
"""Eight bytes each."""

OFFSETS = {name: 8 * position for position, name in enumerate(USER_REGS)}
"""Where each is, in bytes."""

USER_REGS_SIZE = 8 * len(USER_REGS)
RAX_OFFSET = OFFSETS["rax"]
ORIG_RAX_OFFSET = OFFSETS["orig_rax"]
RIP_OFFSET = OFFSETS["rip"]
CS_OFFSET = OFFSETS["cs"]
EFLAGS_OFFSET = OFFSETS["eflags"]
RSP_OFFSET = OFFSETS["rsp"]

CODE_SEGMENT = 0x33
COMPATIBILITY_SEGMENT = 0x23
DATA_SEGMENT = 0x2B
"""cs while 64-bit code runs and while 32-bit code does, and the data segments of the latter (the kernel's
asm/segment.h)."""
