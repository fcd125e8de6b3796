"""A debug server for Linux: any GDB Remote Serial Protocol client debugs a process, an emulator or a core through
it."""

__version__ = "0.1.0"
