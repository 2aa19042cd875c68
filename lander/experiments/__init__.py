"""What people write: files, spellings, hyperparameters, overrides and fork rules, made into values of the protocol."""
