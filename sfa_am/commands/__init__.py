"""What `sfa-am` can be told to do, by subject; `sfa_am.cli` puts the commands together."""
