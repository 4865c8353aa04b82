"""GENI resource specifications: read requests, write advertisements and manifests."""
