"""Exports that need more than the record: environments that are played again, and saved models."""
