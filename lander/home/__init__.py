"""Where things lie in a home: layout, lock, keys, the address of the supervisor, durable and content-addressed files."""
