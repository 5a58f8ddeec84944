"""What reads: questions that are asked of an open workspace, and change nothing."""
