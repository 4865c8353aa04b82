"""XML-RPC doors: translation only."""
