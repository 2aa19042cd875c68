"""Object stores as servers: `make stores`."""
