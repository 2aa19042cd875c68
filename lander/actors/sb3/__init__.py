"""What knows how Stable-Baselines3 works inside: how models are built, with which defaults, and what of it is left out."""
