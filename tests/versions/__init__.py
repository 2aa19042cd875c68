"""Which versions of the libraries work: `make versions`."""
