"""Making what is promised true: operations, sweeps, the end of leases."""
