"""The machine: the host agent, the zygote that forks trainers, the guard, and what is measured."""
