"""Why what is shown of a home may be out of date: the same words in every command that shows what is under way there."""

from lander.cli.options import CommandSettings


def home_notices(settings: CommandSettings, *, under_way: bool) -> list[str]:
    """That the disk is full, and that no supervisor runs although something that is shown is `under_way`, or may be otherwise
    by now."""
    from lander.home.lock import is_full, is_locked

    full = f"lander-ctl: {settings.home}: no space left on the disk: trainers wait, and go on when there is room"
    carry_on = "lander-ctl up carries on"
    alone = f"lander-ctl: no supervisor is running: this is how things stood; {carry_on}"
    return [full] * is_full(settings.home) + [alone] * (under_way and not is_locked(settings.home))
