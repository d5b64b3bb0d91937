"""Wire bytes to values and back: one module a protocol, no HTTP."""
