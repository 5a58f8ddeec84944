"""Who may answer: facts in, a decision out. Standard library only, so a decision needs no model, no disk and no clock."""
