"""CPU facts: registers, target descriptions, breakpoint instructions. Data and tiny functions; no process."""
