"""Hyperparameter files of RL Baselines3 Zoo, read as they stand: an entry of a file becomes the settings of an arm."""
