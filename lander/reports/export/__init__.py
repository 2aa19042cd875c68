"""The record in the formats of other tools, each written with the tool's own library; the standard ones need none."""
