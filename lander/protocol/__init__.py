"""The messages of the system: events, commands, and the plain values in them. This package alone is enough to decode a log."""
