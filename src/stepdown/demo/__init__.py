"""The whole journey once, in a fresh workspace, with the evidence of every stage."""
