"""The aggregate manager: doors, gate, service, store, loops."""
