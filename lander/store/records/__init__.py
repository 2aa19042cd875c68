"""The records of runs in the log: the steps, episodes, checkpoints and costs that count."""
