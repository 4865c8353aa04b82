"""What is promised: the gate, the ten calls, the states of slivers."""
