"""SFA and GENI names, certificates (GIDs) and credentials: bytes in, verdict out."""
