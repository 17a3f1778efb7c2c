"""A pasted curl command: repaired where a paste or a word processor changed it, then taken apart.

Mistakes that the request itself shows, such as typographic quotes in its body, are left in it: the
judges and the hints name them, as they do for the broker.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from mockbroker.cli.curl_options import CurlCommand
from mockbroker.cli.pasted_text import Mistake, MistakeKind, Pasted, Repair
from mockbroker.cli.shell_words import Shell, split_words
from mockbroker.model.typography import DASHES, plain_blanks, without_invisible

__all__ = ["find_command", "other_command", "read_pasted_command"]

# A prompt, and what may stand between it and the name of the program.
_PROMPT = re.compile(
    r"""\s*(?P<prompt>(?:\([\w.-]+\)\s*)?(?:
        [\w.-]+@[\w.-]+[^\n$#%>]{0,80}[$#%>] | \[[^\]\n]{1,60}\][$#%] | PS[^>\n]{0,120}>
        | [A-Za-z]:\\[^>\n]{0,120}> | [~/][\w./-]*\s*[$#%>] | (?:ba|z|k|da)?sh[\d.-]*[$#]
        | [\u276f\u279c\u03bb\u00bb](?:\s+[^\s-]\S*){0,3}? | \d{1,5}(?=\s) | [$%\#>!]
        | In\s\[\d*\]:\s*!
    )\s*)?
    (?P<before>(?:(?:sudo|time|exec|env|command)\s+|[A-Za-z_]\w*=\S*\s+|!\s*)*)
    (?P<name>curl(?:\.exe)?)(?=\s|$)""",
    re.VERBOSE | re.IGNORECASE,
)
_ASSIGNMENT = re.compile(
    r"\s*(?:export\s+)?\w+=(?:\$\(|`)\s*(?P<command>curl\b.*?)\s*[)`]\s*;?\s*$", re.DOTALL
)
_ENTITY = re.compile(r"&(?:quot|amp|apos|lt|gt|nbsp|#\d{2,5}|#[xX][0-9A-Fa-f]{2,5});")
_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_DASHED = re.compile(rf"(?<=\s)[-{DASHES}]*[{DASHES}][-{DASHES}]*(?=[A-Za-z])")
_CURLY = "\u201c\u201d\u201e\u201f"
# Only around words that they were to hold together; others are part of what is sent.
_CURLY_AROUND = re.compile(rf"(?<=\s)[{_CURLY}]([^{_CURLY}\n]*\s[^{_CURLY}\n]*)[{_CURLY}]")
_SINGLE_CURLY_AROUND = re.compile(
    "(?<=\\s)[\u2018\u201b]([^\u2018\u2019\n]*\\s[^\u2018\u2019\n]*)\u2019(?=\\s|$)"
)
_CONTINUATIONS = {Shell.UNIX: "\\", Shell.CMD: "^", Shell.POWERSHELL: "`"}
_BRACES = re.compile(r"\{\{\s*[\w.$-]{1,60}\s*\}\}")
_CONTINUED = {
    Shell.UNIX: re.compile(r"\\[ \t]*\r?\n(?:[ \t]*>[ \t])?"),
    Shell.CMD: re.compile(r"\^[ \t]*\r?\n(?:More\?[ \t])?"),
    Shell.POWERSHELL: re.compile(r"`[ \t]*\r?\n(?:>>[ \t])?"),
}
# The first words of other ways to send a request, and what to paste in their place.
_OTHERS = (
    (r"https?\s+(?:-|\w+\s|:|https?:)|xh\s", "an HTTPie command", "http --offline --print=HB"),
    (r"wget\s", "a wget command", "curl -d DATA -u ID:SECRET URL"),
    (
        r"(?:\$\w+\s*=\s*)?(?:Invoke-(?:RestMethod|WebRequest)|irm|iwr)\b",
        "a PowerShell command",
        "",
    ),
    (
        r"(?:await\s+|const\s|let\s|var\s)?.{0,40}(?:fetch|axios\S*|\$\.(?:ajax|post))\(",
        "JavaScript",
        "",
    ),
    (
        r"(?:import\s|from\s+\w+\s+import|(?:\w+\s*=\s*)?(?:requests|httpx|session)\.\w+\()",
        "Python",
        "",
    ),
    (r"https?://\S+\s*$", "a URL", ""),
)


def find_command(text: str) -> str | None:
    """Return the curl command in a text, prompt included; None if the text begins otherwise."""
    assigned = _ASSIGNMENT.match(text)
    if assigned:
        return assigned["command"]
    return text if _PROMPT.match(plain_blanks(without_invisible(text))) else None


def other_command(text: str) -> str:
    """Return what to do with another kind of command; empty if the text is none that is known."""
    if re.search(r"\bcurl\b.*\s-(?:Uri|Method|Body|Headers|ContentType)\b", text, re.DOTALL):
        return (
            "curl is an alias of Invoke-WebRequest here, which mockbroker does not read; write "
            "curl.exe with the options of curl, or paste the HTTP request that it sends"
        )
    start = re.sub(r"^\s*(?:[$%#>]\s+|PS[^>\n]*>\s*)?", "", text)
    for pattern, kind, instead in _OTHERS:
        if re.match(pattern, start, re.IGNORECASE):
            what = f"as printed by `{instead}`" if "offline" in instead else "that it sends"
            curl = f", or write it as `{instead}`" if instead.startswith("curl") else ""
            return (
                f"this is {kind}, which mockbroker does not read; paste the HTTP request {what}"
                f"{curl}, or send it to `mockbroker serve`, which explains it as well"
            )
    return ""


def read_pasted_command(text: str, repairs: list[Repair]) -> Pasted:
    """Return the request that a curl command would send.

    Raises UnreadableRequestError if the command has no URL, an open quote, a body in a file, or
    an unknown option.
    """
    mistakes: list[Mistake] = []
    text = _visible(text, mistakes)
    shell = _shell_of(text)
    found = _PROMPT.match(text)
    if found and found["prompt"]:
        repairs.append(Repair.PROMPT)
    text = text[found.start("name") if found else 0 :]
    text = _continued(text, shell, mistakes)
    text = _as_typed(text, mistakes)
    split = split_words(text, shell)
    mistakes += split.mistakes
    command = CurlCommand(split.words[1:], is_cmd=shell is Shell.CMD)
    return Pasted(
        command.request(), tuple(repairs), tuple(dict.fromkeys(mistakes + command.mistakes))
    )


def _continued(text: str, shell: Shell, mistakes: list[Mistake]) -> str:
    """Return the command in one line; report line ends that do not continue it."""
    reported = False
    if shell is not Shell.UNIX and re.search(r"\\[ \t]*\r?\n", text):
        sign = _CONTINUATIONS[shell]
        mistakes.append(
            Mistake(
                MistakeKind.LINE_BREAK,
                f"a backslash does not continue a line in {shell.value}; write {sign} at its end",
            )
        )
        text, reported = re.sub(r"\\[ \t]*\r?\n", " ", text), True
    if re.search(rf"{re.escape(_CONTINUATIONS[shell])}[ \t]+\r?\n", text):
        mistakes.append(
            Mistake(
                MistakeKind.LINE_BREAK,
                "a blank follows the sign at the end of a line, which then does not continue it",
            )
        )
    text = _CONTINUED[shell].sub(" ", text)
    # An option at the beginning of a line belongs to the command; output of a program does not.
    if re.search(r"\n[ \t]*-{1,2}[A-Za-z]", _QUOTED.sub("", text)) and not reported:
        mistakes.append(
            Mistake(
                MistakeKind.LINE_BREAK,
                "the command goes on in another line: a shell ends it at the line end; write "
                f"{_CONTINUATIONS[shell]} there",
            )
        )
    # The braces of a template may have blanks in them, at which no word ends.
    return _BRACES.sub(lambda found: re.sub(r"\s", "", found[0]), text)


def _shell_of(text: str) -> Shell:
    """Return the shell for which a command is written, by its prompt and its line ends."""
    if re.match(r"\s*PS\b[^>\n]*>", text) or re.search(r"`[ \t]*\r?\n", text):
        return Shell.POWERSHELL
    if re.match(r"\s*[A-Za-z]:\\[^>\n]*>", text) or re.search(r"\^[ \t]*\r?\n|\^\"", text):
        return Shell.CMD
    return Shell.UNIX


def _visible(text: str, mistakes: list[Mistake]) -> str:
    """Return the command without invisible characters and blanks of typography."""
    plain = plain_blanks(without_invisible(text))
    if plain != text:
        mistakes.append(
            Mistake(
                MistakeKind.HIDDEN_CHARACTER,
                "the command has invisible characters or non-breaking spaces, as pages have them: "
                "a shell does not take them for blanks; type them again",
            )
        )
    return plain


def _as_typed(text: str, mistakes: list[Mistake]) -> str:
    """Return the command without what word processors and pages changed in it."""
    if _ENTITY.search(_QUOTED.sub("", text)):
        mistakes.append(
            Mistake(
                MistakeKind.ENTITIES,
                "the command has entities of HTML (such as &amp; or &quot;): it was copied from "
                "the source of a page; replace them by the characters",
            )
        )
        text = html.unescape(text)
    dashed = _DASHED.sub(_plain_dashes(text), text)
    if dashed != text:
        mistakes.append(
            Mistake(
                MistakeKind.TYPOGRAPHIC_DASH,
                "a dash of a word processor stands before an option; curl takes - and -- only",
            )
        )
    quoted = _SINGLE_CURLY_AROUND.sub(r'"\1"', _CURLY_AROUND.sub(r'"\1"', dashed))
    if quoted != dashed:
        mistakes.append(_TYPOGRAPHIC)
    return quoted


_TYPOGRAPHIC = Mistake(
    MistakeKind.TYPOGRAPHIC_QUOTES,
    "there are typographic (curly) quotes of a word processor, which no shell takes for quotes; "
    "use straight ones",
)


def _plain_dashes(text: str) -> Callable[[re.Match[str]], str]:
    """Return what replaces a dash: one before a single letter, two before a word."""

    def replaced(found: re.Match[str]) -> str:
        is_word = re.match(r"[A-Za-z]{2}", text[found.end() :])
        return "--" if is_word else "-"

    return replaced
