"""What follows from what: rows and trace lines in, differences out. Pure."""
