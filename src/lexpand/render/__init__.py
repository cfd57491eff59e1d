"""Rendering of plain values as HTML or as text tables.

`html.py` has the escaping and the style sheet, and `text.py` aligns columns. The package does not
decide what is shown: `lexpand.explanation` composes its own pages from these pieces.
"""

__all__: list[str] = []
