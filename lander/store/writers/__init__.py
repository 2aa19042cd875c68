"""The one writer of a store, on disk and in memory, and how a file of an older version is brought up to date."""
