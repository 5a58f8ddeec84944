"""What history says, told. Pure: rows to values, values to text; nothing is ever parsed back."""
