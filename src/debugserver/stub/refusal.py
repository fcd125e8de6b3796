"""The answer to a client that cannot be served: one error reply, to whatever it asked first."""

from __future__ import annotations

from debugserver.rsp import framing


def refuse(sentence: str) -> bytes:
    """The bytes to send: an acknowledgement of the client's first packet, and the sentence as its reply."""
    return b"+" + framing.encode_packet(b"E." + framing.escape(sentence.encode(errors="replace")))
