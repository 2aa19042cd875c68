"""What to do about it: pure decisions, and the asyncio shell that carries them out."""
