"""What people can do: a use case each. The command line and the Python API stand on it."""
