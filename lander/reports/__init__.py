"""What it means: analysis of the log, and how it is shown or exported."""
