"""What can be debugged: the abstract target, its values and its capabilities. Never a packet, never a socket."""
