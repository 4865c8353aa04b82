"""Backends: what makes slivers exist. `protocol` is the contract; each folder beside it fulfils it."""
