"""The clearinghouse over XML-RPC: Common Federation API version 2, as omni, geni-lib and jFed speak it. Translation only."""
