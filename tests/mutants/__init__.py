"""Defects sown on purpose, each with the tests that must notice it: `make mutants`."""
