"""How files travel between a worker's machine and the home: asked for by content, piece by piece, by the side that receives."""
