"""Rendering of findings: text, Markdown, HTML page, figures and films."""
