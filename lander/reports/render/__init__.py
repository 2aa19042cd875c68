"""Findings shown: as text, Markdown, a page, figures and films."""
