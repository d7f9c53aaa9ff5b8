"""LaTeX tables (booktabs) that compile: every character of a name is escaped."""

from __future__ import annotations

from analysis.report.text_matrix import TextMatrix

_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "—": "---", "·": r"$\cdot$", "Δ": r"$\Delta$",
    "<": r"\textless{}", ">": r"\textgreater{}", "×": r"$\times$", "±": r"$\pm$", "[": "{[}", "]": "{]}",
}  # fmt: skip


def escape(text: str) -> str:
    """Text as LaTeX shows it; control characters and what plain fonts lack become a question mark."""
    return "".join(
        _ESCAPES.get(c, c if c.isascii() and c.isprintable() else ("?" if not c.isspace() else " ")) for c in text
    )


def booktabs(matrix: TextMatrix) -> str:
    """A table environment; needs \\usepackage{booktabs} only."""
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(matrix.note)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(matrix.header) - 1)}}}",
        r"\toprule",
        " & ".join(map(escape, matrix.header)) + r" \\",
        r"\midrule",
        *(" & ".join(map(escape, row)) + r" \\" for row in matrix.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"
