"""The built-in node manager: containers, networks and storage of this host."""
