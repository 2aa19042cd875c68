"""The commands of `lander-ctl`."""

from typing import Final

COMMANDS: Final = {
    "run": "lander.cli.commands.run",
    "submit": "lander.cli.commands.submit",
    "validate": "lander.cli.commands.validate",
    "schema": "lander.cli.commands.schema",
    "import": "lander.cli.commands.import_",
    "status": "lander.cli.commands.status",
    "list": "lander.cli.commands.list",
    "wait": "lander.cli.commands.wait",
    **dict.fromkeys(("stop", "pause", "resume", "retry", "skip", "checkpoint"), "lander.cli.commands.operate"),
    **dict.fromkeys(("note", "tag", "hypothesis", "archive", "unarchive"), "lander.cli.commands.annotate"),
    "events": "lander.cli.commands.events",
    "logs": "lander.cli.commands.logs",
    "report": "lander.cli.commands.report",
    "evaluate": "lander.cli.commands.evaluate",
    "fork": "lander.cli.commands.fork",
    "replay": "lander.cli.commands.replay",
    "video": "lander.cli.commands.video",
    "export": "lander.cli.commands.export",
    "diff": "lander.cli.commands.diff",
    "verify": "lander.cli.commands.verify",
    "check": "lander.cli.commands.check",
    "backup": "lander.cli.commands.backup",
    "gc": "lander.cli.commands.gc",
    "doctor": "lander.cli.commands.doctor",
    "delete": "lander.cli.commands.delete",
    "compact": "lander.cli.commands.compact",
    "hosts": "lander.cli.commands.hosts",
    "token": "lander.cli.commands.token",
    "worker": "lander.cli.commands.worker",
    "up": "lander.cli.commands.service",
    "down": "lander.cli.commands.service",
}
"""The module of each command, in the order in which help lists them."""
