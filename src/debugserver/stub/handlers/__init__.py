"""One module per family of packets; each function is one row of the table in `stub.registry`."""
