"""Trained models on disk: what each promises, whether it is still whole, and where it stands."""
