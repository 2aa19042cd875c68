"""What was said: the log, its projections, the records that are read from it, and its upkeep."""
