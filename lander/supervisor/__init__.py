"""The supervisor: a pure decision core, and the asyncio shell that carries its decisions out."""
