"""The commands of `lander-ctl`, a file each: they parse and print, and nothing else."""
