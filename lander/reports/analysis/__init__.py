"""Analysis: from the log to findings, and to the data that a report draws."""
