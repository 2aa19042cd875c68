"""Launchers: how to start a host agent on each kind of machine. One file per kind."""
