"""Reports: analysis of the log, its rendering for people, and its export to other tools."""
