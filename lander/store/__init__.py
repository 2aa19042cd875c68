"""The recorded events: the log, its projections, the records that are read from it, and its maintenance."""
