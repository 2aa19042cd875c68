"""What the events say, kept at hand in tables that can be made again from the log."""
