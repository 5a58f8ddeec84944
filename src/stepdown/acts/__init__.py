"""What writes: each act is one function on an open workspace."""
