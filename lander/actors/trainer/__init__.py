"""One attempt at one run: the training loop, its mailbox, evaluations and saved models."""
