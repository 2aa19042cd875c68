"""The command line: `main` finds the command, `options` is what commands share."""
