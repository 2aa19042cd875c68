"""Environments: how their modules are found, how their steps are recorded, and the state of their random generators."""
