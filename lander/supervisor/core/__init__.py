"""The decision core: a pure fold over the log, and pure functions from state and message to events and effects."""
