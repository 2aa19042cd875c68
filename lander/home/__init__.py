"""The files of a home: layout, lock, keys, the supervisor's address, durable files and content-addressed artifacts."""
