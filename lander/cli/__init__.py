"""The command line: `main` finds the command, `options` has the options that commands share."""
