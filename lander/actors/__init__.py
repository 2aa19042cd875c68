"""The processes that run on a host: the agent, its zygote, and the trainers.

Only this package imports torch and Stable-Baselines3.
"""
