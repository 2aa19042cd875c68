"""The matching of a TARGET, `EXPERIMENT[/ARM[/SEED]]`."""


def matches(target: str, name: str) -> bool:
    """Whether the experiment or run `name` is the target, or lies below it."""
    return name == target or name.startswith(f"{target}/")
