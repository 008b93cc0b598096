"""Redaction: removes secrets from logs and history, by name and by shape. Pure.

Texts are searched for names of secrets first, and parsed only where a name occurs: the output of a
run may be a megabyte, and redaction blocks the event loop.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

HIDDEN = "***"

_NAMES = (b"passw", b"passphrase", b"secret", b"api_key", b"api-key", b"apikey", b"private_key",
          b"private-key", b"privatekey", b"accesskey", b"accountkey", b"credential",
          b"authorization", b"cookie", b"sessionid", b"zato_lite_session")  # fmt: skip
_TOKEN_PREFIX = re.compile(rb"(?:access|refresh|auth|id|session|bearer|csrf|api)[_-]?\Z")
_VALUE = re.compile(
    rb"""
    [\w-]{0,30} \\?["']? \s{0,5}                     # the rest of the name
    (?: [:=]{1,2}>? | %3[ad] ) \s{0,5}                # the separator, also one in a URL
    (?: b?(["'])(?: (?!\1)[^\\] | \\. )*+ \1?         # a string
      | \\(["'])(?: (?!\\\2). )*+ (?:\\\2)?           # one in another string
      | [^\s,;&{}\[\]()"'\\]++                         # a bare word
    )""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_PLAIN = re.compile(
    rb"(.*?(?:[:=]{1,2}>?|%3[ad])\s*)(b?\\?[\"'])?(null|none|true|false)?",
    re.DOTALL | re.IGNORECASE,
)
_QUOTE = re.compile(rb"(\\?[\"'])\s*[:=]\s*\Z")
_CREDENTIALS = re.compile(rb"\s{1,5}(?=[a-z+/_.~-]*+[A-Z0-9=])[A-Za-z0-9+/_.~=-]{8,}+")
_KEY = re.compile(rb"zl_([0-9a-f]{12})_[A-Za-z0-9_-]{16,}+")
_URL = re.compile(rb"(://[^/\s:@\"'<>]*+):[^/\s\"'<>]*@")
_HEADER = re.compile(
    rb"((?:authorization|cookie)\s{0,5}[:=]\s{0,5})"
    rb"(?!b?\\?[\"'{\[]|(?:null|none|true|false)\b)"
    rb"(?:(?:username|realm|nonce|uri|response|opaque|qop|cnonce|algorithm)=\\?\"[^\"\r\n]*+\""
    rb"|[^\r\n\"'\\])++",
    re.IGNORECASE,
)
_INTEGER = re.compile(rb"[\s:=\\\"']*\d+[\"']?\Z")
_WORDS = (b"token", b"pwd", b"pass", b"sig", b"signature")
"""Names of secrets only as whole words, and only with a value that is not a whole number: a
fencing token or a count of passed tests is not a secret."""

_SHAPES: tuple[tuple[bytes, re.Pattern[bytes], bytes], ...] = (
    (
        b"eyJ",  # tried once for each run of letters: the time grows with the length of the text
        re.compile(rb"(?<![\w-])((?:(?!\beyJ)[\w-])*+)eyJ[\w-]{5,}+\.[\w-]{5,}+(?:\.[\w-]*+)*+"),
        rb"\1***",
    ),
    (
        b"PRIVATE KEY-----",
        re.compile(
            rb"(-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----)(?:(?!-----END)[^\"'])*+", re.DOTALL
        ),
        rb"\1***",
    ),
    (b"AKIA", re.compile(rb"\bAKIA[A-Z0-9]{16}\b"), b"***"),
    (b"ASIA", re.compile(rb"\bASIA[A-Z0-9]{16}\b"), b"***"),
    (b"gh", re.compile(rb"\b(gh[pousr])_\w{16,}+"), rb"\1_***"),
    (b"github_pat_", re.compile(rb"\bgithub_pat_\w{16,}+"), b"github_pat_***"),
    (b"xox", re.compile(rb"\b(xox[a-z])-[\w-]{8,}+"), rb"\1-***"),
    (b"glpat-", re.compile(rb"\bglpat-[\w-]{16,}+"), b"glpat-***"),
    (b"k_", re.compile(rb"\b([sr]k_(?:live|test))_\w{12,}+"), rb"\1_***"),
    (b"sk-", re.compile(rb"\bsk-[\w-]{20,}+"), b"sk-***"),
    (b"AIza", re.compile(rb"\bAIza[\w-]{30,}+"), b"AIza***"),
    (b"SG.", re.compile(rb"\bSG\.[\w-]{16,}+\.[\w-]{16,}+"), b"SG.***"),
    (b"/bot", re.compile(rb"(/bot\d{1,20}):[\w-]{16,}+"), rb"\1:***"),  # Telegram's
    (b"npm_", re.compile(rb"\bnpm_[A-Za-z0-9]{30,}+"), b"npm_***"),
    (b"hooks.slack.com/", re.compile(rb"(hooks\.slack\.com/)[^\s\"'<>\\]++"), rb"\1***"),
    (b"/api/webhooks/", re.compile(rb"(/api/webhooks/)[^\s\"'<>\\]++"), rb"\1***"),
    (b".office.com/", re.compile(rb"(\.office\.com/)[^\s\"'<>\\]++"), rb"\1***"),
    (
        b"--",
        re.compile(
            rb"(--[\w-]{0,30}(?:passw(?:or)?d|secret|token|api-?key)[\w-]{0,10}[ \t]{1,5})"
            rb"(?!-)(?:\"[^\"]*+\"?|'[^']*+'?|\S++)",
            re.IGNORECASE,
        ),
        rb"\1***",
    ),
    (
        b"</",
        re.compile(
            rb"(<[\w:.-]{0,30}(?:passw(?:or)?d|pwd|secret|token|api[_-]?key)[\w.-]{0,30}"
            rb"(?:\s[^<>]{0,200})?>)[^<]++",
            re.IGNORECASE,
        ),
        rb"\1***",
    ),
    (b"://", re.compile(rb"(://)[^/\s:@\"'<>]{20,}+@"), rb"\1***@"),
)
"""Secrets that their shape shows: bytes that occur in each, pattern, replacement."""

_NAMED = re.compile(
    r"passw|passphrase|secret|(?:api|private)[_-]?key|(?:access|account)key|credential"
    r"|authorization|cookie|sessionid|zato_lite_session"
    r"|(?:access|refresh|auth|id|session|bearer|csrf|api)[_-]?token",
    re.IGNORECASE,
)
_NAMED_TEXT = re.compile(r"token|pwd|pass|sig|signature", re.IGNORECASE)
"""Names whose values are secrets if they are texts."""


_MAX_REMEMBERED, _MAX_HARMLESS = 100, 4_096
"""Characters of a text, and number of texts, that are remembered as harmless."""

_harmless: set[str] = set()
"""Texts without a secret: log lines repeat names, paths and events, and a search takes 10 µs."""


def redacted(text: str) -> str:
    """Return the text without secrets: named values, credentials, API keys."""
    if text in _harmless:
        return text
    found = _redacted(text)
    if found == text and len(text) <= _MAX_REMEMBERED:
        if len(_harmless) >= _MAX_HARMLESS:
            _harmless.clear()
        _harmless.add(text)
    return found


def _redacted(text: str) -> str:
    data = text.encode("utf-8", "surrogatepass")
    lower = data.lower()
    if b"authorization" in lower or b"cookie" in lower:
        data = _HEADER.sub(rb"\1***", data)
        lower = data.lower()
    found = [*_values(data, lower), *_schemes(data, lower)]
    if found:
        data = _replaced(data, sorted(found))
    if b"zl_" in data:
        data = _KEY.sub(rb"zl_\1_***", data)
    if b"://" in data:
        data = _URL.sub(rb"\1:***@", data)
    for part, pattern, replacement in _SHAPES:
        if part in data:
            data = pattern.sub(replacement, data)
    return data.decode("utf-8", "surrogatepass")


def is_secret_name(name: str) -> bool:
    """Return True if the value of this name is to be hidden."""
    return _NAMED.search(name) is not None


def without_secrets(value: Any, name: str = "") -> Any:
    """Return a value to be logged under a name, with secrets hidden at any depth."""
    if value is not None and not isinstance(value, bool) and is_secret_name(name):
        return HIDDEN
    if isinstance(value, str):
        return HIDDEN if value and _NAMED_TEXT.fullmatch(name) else redacted(value)
    if isinstance(value, Mapping):
        return {key: without_secrets(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    return value


_Cut = tuple[int, int, bytes]
"""Start, end, and replacement."""


def _values(data: bytes, lower: bytes) -> Iterator[_Cut]:
    """Yield the values that follow names of secrets."""
    for name in (*_NAMES, *_WORDS):
        at = lower.find(name)
        while at >= 0:
            end = at + len(name)
            is_word = name in _WORDS and not _TOKEN_PREFIX.search(lower, max(0, at - 8), at)
            match = (
                None if is_word and _is_within_word(lower, at, end) else _VALUE.match(data, end)
            )
            if match is not None and not (is_word and _INTEGER.match(match[0])):
                if (cut := _cut(match)) is not None:
                    yield cut
                end = match.end()
            at = lower.find(name, end)


def _is_within_word(lower: bytes, start: int, end: int) -> bool:
    """Return True if a letter, a digit or ``_`` stands before, or letters or ``-`` behind."""
    before, after = lower[start - 1 : start] if start else b"", lower[end : end + 1]
    return before.isalnum() or after.isalnum() or after in (b"_", b"-")


def _schemes(data: bytes, lower: bytes) -> Iterator[_Cut]:
    """Yield the credentials that follow schemes of an Authorization header."""
    for scheme in (b"basic", b"bearer"):
        at = lower.find(scheme)
        while at >= 0:
            end = at + len(scheme)
            if (match := _CREDENTIALS.match(data, end)) is not None:
                yield end, match.end(), b" ***"
                end = match.end()
            at = lower.find(scheme, end)


def _cut(match: re.Match[bytes]) -> _Cut | None:
    """Return the replacement of a value within its quotes; None for null and booleans."""
    whole = match[0]
    plain = _PLAIN.match(whole)
    if plain is None or (plain[3] is not None and plain.end() == len(whole)):
        return None
    quote = plain[2] or b""
    closing = quote.removeprefix(b"b")
    begin, end = match.start() + len(plain[1]) + len(quote), match.end()
    if closing and whole.endswith(closing) and end - len(closing) >= begin:
        end -= len(closing)
    if not quote and (named := _QUOTE.search(plain[1])) is not None:
        return begin, end, b"%b***%b" % (named[1], named[1])  # a number in JSON: it stays JSON
    return begin, end, b"***"


def _replaced(data: bytes, cuts: list[_Cut]) -> bytes:
    """Apply replacements; of those that overlap, the first one counts."""
    parts, at = [], 0
    for begin, end, replacement in cuts:
        if begin >= at:
            parts += [data[at:begin], replacement]
        at = max(at, end)
    return b"".join((*parts, data[at:]))
