"""The local room: the only one that imports mlx. Import its modules by name, when local work starts."""
