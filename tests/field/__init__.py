"""What is tested in an environment with rl_zoo3 and the environments it has tuned (`make field`)."""
