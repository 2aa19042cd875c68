"""The projections: tables derived from the events, which can be rebuilt from the log."""
