"""How do plain values look as HTML or as a table of text?

`html.py` owns the escaping and the style sheet, `text.py` lays out columns.

It is not for deciding what is shown: `lexpand.explanation` composes its own pages from these
pieces.
"""

__all__: list[str] = []
