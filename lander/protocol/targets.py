"""TARGETs, `EXPERIMENT[/ARM[/SEED]]`: what they match, and what is said of one that was deleted."""


def matches(target: str, name: str) -> bool:
    """Whether the experiment or run `name` is the target, or lies below it."""
    return name == target or name.startswith(f"{target}/")


def was_deleted(target: str, at: int) -> str:
    """That the experiment of a target was deleted, at a time in microseconds since 1970."""
    from datetime import UTC, datetime  # `status` imports this module, and rarely needs it

    return f"{target.partition('/')[0]}: was deleted on {datetime.fromtimestamp(at / 1e6, UTC):%Y-%m-%d %H:%M} UTC"
