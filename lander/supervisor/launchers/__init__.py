"""Launchers: how each kind of engine starts workers, shows them and ends them. One file per kind."""
