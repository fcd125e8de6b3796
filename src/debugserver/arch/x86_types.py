"""The types of x86 registers in target descriptions, as XML. The same for 32 and 64 bits."""

from __future__ import annotations

from debugserver.arch.description import flags, union, vector


def _bits(text: str) -> list[tuple[str, int]]:
    """`FLAG:bit` words; a bit may lack a name."""
    return [(name, int(bit)) for name, bit in (word.split(":") for word in text.split())]


EFLAGS = flags(
    "i386_eflags",
    4,
    _bits("CF:0 :1 PF:2 AF:4 ZF:6 SF:7 TF:8 IF:9 DF:10 OF:11 NT:14 RF:16 VM:17 AC:18 VIF:19 VIP:20 ID:21"),
)
"""Intel SDM vol. 1, 3.4.3."""

MXCSR = flags("i386_mxcsr", 4, _bits("IE:0 DE:1 ZE:2 OE:3 UE:4 PE:5 DAZ:6 IM:7 DM:8 ZM:9 OM:10 UM:11 PM:12 FZ:15"))
"""Intel SDM vol. 1, 10.2.3."""

_VEC128_VIEWS = (
    ("v8_bfloat16", "v8bf16", "bfloat16", 8),
    ("v8_half", "v8h", "ieee_half", 8),
    ("v4_float", "v4f", "ieee_single", 4),
    ("v2_double", "v2d", "ieee_double", 2),
    ("v16_int8", "v16i8", "int8", 16),
    ("v8_int16", "v8i16", "int16", 8),
    ("v4_int32", "v4i32", "int32", 4),
    ("v2_int64", "v2i64", "int64", 2),
)

VEC128 = "".join(vector(name, element, count) for _, name, element, count in _VEC128_VIEWS) + union(
    "vec128", [*((view, name) for view, name, _, _ in _VEC128_VIEWS), ("uint128", "uint128")]
)
"""An XMM register."""

V2UI128 = vector("v2ui128", "uint128", 2)
"""The upper half of a ZMM register."""
