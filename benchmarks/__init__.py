"""One script for each promised number; each prints both sides and their ratio, measured in one run."""
