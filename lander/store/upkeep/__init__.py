"""Looking after a home: whether it is whole, what may be deleted, and a copy of it."""
