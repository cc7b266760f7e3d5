"""Any text as LaTeX in plain ASCII: what is special to LaTeX is escaped, what is not ASCII is spelled as a command.

No library does it for table cells: of the twelve strings of tests/unit/tables/test_latex.py as a row's first cell and
in \\textbf, pylatexenc 2.11 (unknown characters as hex) has two stop pdfLaTeX (an opening bracket, a blank line) and
three print something else (an opening star is gone, | is a dash); with latexcodec 3.0.1 five stop it.
"""

import re
import unicodedata

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "—": "---",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "→": r"$\rightarrow$",
    "ℓ": r"$\ell$",
    "∞": r"$\infty$",
    "µ": r"$\mu$",
    "ϵ": r"$\epsilon$",
    "½": r"$\frac{1}{2}$",
    "²": r"$^{2}$",
    "°": r"$^{\circ}$",
    "…": r"\ldots{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
}
ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0327": "c",
}
GREEK = dict(
    zip(
        "αβγδεζηθικλμνξπρςστυφχψωΓΔΘΛΞΠΣΥΦΨΩ",
        re.findall(
            r"\w+",
            "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu "
            "xi pi rho varsigma sigma tau upsilon varphi chi psi omega "
            "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega",
        ),
        strict=True,
    )
)


def escape(text: str) -> str:
    """`text` so that LaTeX prints it; a character that its plain fonts lack becomes its code point, [U+4E2D]."""
    return "".join(map(_character, unicodedata.normalize("NFC", text)))


def _character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if character in GREEK:
        return rf"$\{GREEK[character]}$"
    if character.isspace():
        return " "
    if character.isascii():
        return character if character.isprintable() else ""
    return _accented(character) or f"{{[}}U+{ord(character):04X}{{]}}"


def _accented(character: str) -> str:
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[0].isalpha() and parts[1] in ACCENTS:
        return rf"\{ACCENTS[parts[1]]}{{{parts[0]}}}"
    return ""
