"""Networks of this host: bridges, and who may talk to whom."""
