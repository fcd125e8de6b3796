"""Live processes of this Linux system, by ptrace and /proc. Never a packet, never the stub."""
