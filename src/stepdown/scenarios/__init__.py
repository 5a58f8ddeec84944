"""What is played, and how a reply is judged. Pure: values in, values out."""
