"""Markdown: a table's lines, and text that means itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table_lines(headers: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> list[str]:
    """A table; the first `texts` columns are aligned left, the others right.

    Example:
        >>> table_lines(["a", "b"], [["x", "1"]])
        ['| a | b |', '| --- | ---: |', '| x | 1 |']
    """
    rule = ["---"] * texts + ["---:"] * (len(headers) - texts)
    return [f"| {' | '.join(cells)} |" for cells in (headers, rule, *rows)]


def escape(text: str) -> str:
    r"""Text that means itself inside a Markdown table, as HTML or otherwise.

    Example:
        >>> escape("a|b <i> *c* __d__")
        'a\\|b &lt;i&gt; \\*c\\* \\_\\_d\\_\\_'
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # An underscore within a word emphasises nothing.
    text = re.sub(r"([\\|*`\[\]$~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))", r"\\\1", text)
    return re.sub(r"\s*[\r\n]+\s*", " / ", text.strip())
