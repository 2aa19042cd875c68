"""The log itself: its promise, its schema, its order and its hash chain, and how it is read."""
