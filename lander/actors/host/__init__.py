"""The host: its agent, the zygote that forks trainers, the guard, and the measurement of resources."""
