"""The use cases, one module each; the command line and the Python API call them."""
