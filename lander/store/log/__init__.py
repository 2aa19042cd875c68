"""The log itself: its contract, its schema, its order and hash chain, and its readers."""
