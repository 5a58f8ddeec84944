"""What happened, as rows that are only ever appended. State is a fold over them."""
