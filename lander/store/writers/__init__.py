"""The single writer of a store, on disk and in memory, and the upgrade of older files."""
