"""The numbers: from the log to findings, and to what a report draws."""
