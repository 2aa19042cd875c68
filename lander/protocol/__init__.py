"""What can be said: events and commands, and the plain values in them. A log decodes with this and nothing else."""
