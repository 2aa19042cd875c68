"""What a TARGET, `EXPERIMENT[/ARM[/SEED]]`, names."""


def matches(target: str, name: str) -> bool:
    """Whether the experiment or run `name` is the target, or lies under it."""
    return name == target or name.startswith(f"{target}/")
