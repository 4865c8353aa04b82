"""What runs on the host: the journal, disks, containers."""
