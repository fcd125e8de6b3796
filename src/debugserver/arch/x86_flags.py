"""What x86 arithmetic gives: result and status flags. Source: Intel SDM vol. 1, 3.4.3.1 and vol. 2.

AF after `and`, `or`, `xor` and `test` is undefined there; CPUs of Intel and AMD clear it.
"""

from __future__ import annotations

from collections.abc import Callable

CF = 1 << 0
PF = 1 << 2
AF = 1 << 4
ZF = 1 << 6
SF = 1 << 7
DF = 1 << 10
OF = 1 << 11
STATUS = CF | PF | AF | ZF | SF | OF

Operation = Callable[[int, int, int, int], tuple[int, int]]
"""(first operand, second operand, eflags, sign bit of the operands) -> (result, status flags)."""

Condition = Callable[[int], bool]
"""Of eflags."""

_PARITY = tuple(0 if value.bit_count() & 1 else PF for value in range(256))


def add(first: int, second: int, _flags: int, sign: int) -> tuple[int, int]:
    """add"""
    return _sum(first, second, 0, sign)


def add_with_carry(first: int, second: int, flags: int, sign: int) -> tuple[int, int]:
    """adc"""
    return _sum(first, second, flags & CF, sign)


def subtract(first: int, second: int, _flags: int, sign: int) -> tuple[int, int]:
    """sub, cmp"""
    return _difference(first, second, 0, sign)


def subtract_with_borrow(first: int, second: int, flags: int, sign: int) -> tuple[int, int]:
    """sbb"""
    return _difference(first, second, flags & CF, sign)


def negate(value: int, _: int, _flags: int, sign: int) -> tuple[int, int]:
    """neg"""
    return _difference(0, value, 0, sign)


def increment(value: int, _: int, flags: int, sign: int) -> tuple[int, int]:
    """inc"""
    result, new = _sum(value, 1, 0, sign)
    return result, new & ~CF | flags & CF


def decrement(value: int, _: int, flags: int, sign: int) -> tuple[int, int]:
    """dec"""
    result, new = _difference(value, 1, 0, sign)
    return result, new & ~CF | flags & CF


def conjunction(first: int, second: int, _flags: int, sign: int) -> tuple[int, int]:
    """and, test"""
    return first & second, _of_result(first & second, sign)


def disjunction(first: int, second: int, _flags: int, sign: int) -> tuple[int, int]:
    """or"""
    return first | second, _of_result(first | second, sign)


def exclusive_disjunction(first: int, second: int, _flags: int, sign: int) -> tuple[int, int]:
    """xor"""
    return first ^ second, _of_result(first ^ second, sign)


def invert(value: int, _: int, flags: int, sign: int) -> tuple[int, int]:
    """not"""
    return value ^ 2 * sign - 1, flags & STATUS


def _sum(first: int, second: int, carry: int, sign: int) -> tuple[int, int]:
    total = first + second + carry
    result = total & 2 * sign - 1
    overflow = OF if (first ^ result) & (second ^ result) & sign else 0
    return result, _of_result(result, sign) | (first ^ second ^ result) & AF | (total != result) | overflow


def _difference(first: int, second: int, borrow: int, sign: int) -> tuple[int, int]:
    total = first - second - borrow
    result = total & 2 * sign - 1
    overflow = OF if (first ^ second) & (first ^ result) & sign else 0
    return result, _of_result(result, sign) | (first ^ second ^ result) & AF | (total < 0) | overflow


def _of_result(result: int, sign: int) -> int:
    return _PARITY[result & 0xFF] | (SF if result & sign else 0 if result else ZF)


def _less(flags: int) -> bool:
    return bool(flags & SF) != bool(flags & OF)


CONDITIONS: dict[str, Condition] = {
    "O": lambda flags: flags & OF != 0,
    "B": lambda flags: flags & CF != 0,
    "E": lambda flags: flags & ZF != 0,
    "BE": lambda flags: flags & (CF | ZF) != 0,
    "S": lambda flags: flags & SF != 0,
    "P": lambda flags: flags & PF != 0,
    "L": _less,
    "LE": lambda flags: flags & ZF != 0 or _less(flags),
    "NO": lambda flags: flags & OF == 0,
    "AE": lambda flags: flags & CF == 0,
    "NE": lambda flags: flags & ZF == 0,
    "A": lambda flags: flags & (CF | ZF) == 0,
    "NS": lambda flags: flags & SF == 0,
    "NP": lambda flags: flags & PF == 0,
    "GE": lambda flags: not _less(flags),
    "G": lambda flags: flags & ZF == 0 and not _less(flags),
}
"""By the names of the manual's condition codes."""
