"""Who speaks: the host agent, its zygote, and the trainers. The only room that imports torch and Stable-Baselines3."""
