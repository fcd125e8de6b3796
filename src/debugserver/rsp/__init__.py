"""The wire: bytes to values and back, one concept a module. No I/O, and nothing of targets or sessions."""
