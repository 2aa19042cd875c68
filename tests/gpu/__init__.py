"""What holds on a GPU. `make gpu` runs this; it is skipped, with the reason, where there is none."""
