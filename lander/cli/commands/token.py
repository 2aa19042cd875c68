"""`lander-ctl token`: let a worker on another machine in."""

import click

from lander.app.durations import seconds_in
from lander.cli.options import CommandSettings, common
from lander.cli.terminal import show


class _Duration(click.ParamType[float]):
    """A duration in words, such as 90m; its value is in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = seconds_in(str(value), "smhd")
        if not found:
            self.fail(f"{value}: is no time such as 30s, 90m, 1h or 7d", param, ctx)
        return found


@click.command()
@click.option(
    "--name", metavar="NAME", default="", help="What the host is called; without it, what the worker's machine is called."
)
@click.option("--ttl", type=_Duration(), metavar="TIME", default="1h", help="For how long it lets in: 30m, 1h (default), 7d.")
@click.option("--uses", type=click.IntRange(1, 100_000), default=1, metavar="N", help="How many hosts it lets in (default: 1).")
@click.option("--revoke", metavar="ID", help="Let nobody in any more with the token of this id.")
@common()
@click.pass_obj
def token(settings: CommandSettings, name: str, ttl: float, uses: int, revoke: str | None) -> int:
    """Print a token that lets a worker on another machine in.

    The token is one line on standard output; keep it in a file that only you can read. It lets in, and nothing else: the
    worker's own key never leaves the worker. The supervisor must run, and listen for other machines (lander-ctl up --listen).

    \b
    Examples:
      (umask 077; lander-ctl token --name gpu3 > gpu3.token)
      (umask 077; lander-ctl token --uses 100 --ttl 7d > array.token)
      lander-ctl token --revoke 0123456789abcdef
    """
    from lander.app import tokens

    if revoke is not None:
        show(f"token {revoke}: revoked; {tokens.revoke(settings.home, revoke)}")
        return 0
    issued = tokens.issue(settings.home, name=name, seconds=ttl, uses=uses)
    show(issued.token.text())
    command = f"lander-ctl worker {issued.head} --token-file FILE"
    where = "on this machine" if issued.only_here else "on the other machine"
    show(f"token {issued.token.id}; {where}: {command}", err=True)
    if issued.only_here:
        show(f"no other machine can dial {issued.head}; to listen for them: lander-ctl down, then {tokens.LISTEN}", err=True)
    return 0
