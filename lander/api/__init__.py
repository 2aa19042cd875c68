"""The Python API: values in, values out."""
