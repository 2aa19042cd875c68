"""Code that depends on the internals of Stable-Baselines3: how models are built, its defaults, and the work it can skip."""
