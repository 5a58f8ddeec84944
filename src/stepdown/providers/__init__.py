"""Who can be asked: one protocol, and those behind it."""
