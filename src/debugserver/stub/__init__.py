"""The conversation: packets become calls on a target, and what the target reports becomes replies. Never a socket."""
