"""The `sfi` client: speaks the wire and nothing else."""
