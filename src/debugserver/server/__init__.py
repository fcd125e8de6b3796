"""Bytes in and out: where clients come from, and the loop that everything waits in. Knows no kind of target."""
