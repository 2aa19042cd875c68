"""Environments: where their modules are found, how their steps are recorded, the state of their generators."""
