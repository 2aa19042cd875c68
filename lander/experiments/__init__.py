"""What users write: files, spellings, hyperparameters, overrides and fork rules, parsed into values of the protocol."""
