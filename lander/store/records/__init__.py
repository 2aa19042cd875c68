"""What the log says of runs: their steps, episodes, checkpoints and costs, as far as they count."""
