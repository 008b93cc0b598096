"""Redaction: removes secrets from logs and history, by name and by shape. Pure.

Texts are searched for names of secrets first, and parsed only where a name occurs: the output of a
run may be a megabyte, and redaction blocks the event loop.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

HIDDEN = "***"

_NAMES = (b"passw", b"passphrase", b"secret", b"api_key", b"api-key", b"apikey", b"private_key",
          b"private-key", b"privatekey", b"credential", b"authorization", b"cookie")  # fmt: skip
_TOKEN_PREFIX = re.compile(rb"(?:access|refresh|auth|id|session|bearer|csrf|api)[_-]?\Z")
_VALUE = re.compile(
    rb"""
    [\w-]{0,30} \\?["']? \s{0,5} [:=] \s{0,5}         # the rest of the name, and the separator
    (?: b?(["'])(?: (?!\1)[^\\] | \\. )*+ \1?         # a string
      | \\(["'])(?: (?!\\\2). )*+ (?:\\\2)?           # one in another string
      | [^\s,;&{}\[\]()"'\\]++                         # a bare word
    )""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN = re.compile(
    rb"(.*?[:=]\s*)(b?\\?[\"'])?(null|none|true|false)?", re.DOTALL | re.IGNORECASE
)
_QUOTE = re.compile(rb"(\\?[\"'])\s*[:=]\s*\Z")
_CREDENTIALS = re.compile(rb"\s{1,5}(?=[a-z+/_.~-]*+[A-Z0-9=])[A-Za-z0-9+/_.~=-]{8,}+")
_KEY = re.compile(rb"zl_([0-9a-f]{12})_[A-Za-z0-9_-]{16,}+")
_URL = re.compile(rb"(://[^/\s:@]++):[^/\s@]++@")
_NAMED = re.compile(
    r"passw|passphrase|secret|(?:api|private)[_-]?key|credential|authorization|cookie"
    r"|(?:access|refresh|auth|id|session|bearer|csrf|api)[_-]?token",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """Return the text without secrets: named values, credentials, API keys."""
    data = text.encode("utf-8", "surrogatepass")
    lower = data.lower()
    found = [*_values(data, lower), *_schemes(data, lower)]
    if found:
        data = _replaced(data, sorted(found))
    if b"zl_" in data:
        data = _KEY.sub(rb"zl_\1_***", data)
    if b"://" in data:
        data = _URL.sub(rb"\1:***@", data)
    return data.decode("utf-8", "surrogatepass")


def is_secret_name(name: str) -> bool:
    """Return True if the value of this name is to be hidden."""
    return _NAMED.search(name) is not None


def without_secrets(value: Any, name: str = "") -> Any:
    """Return a value to be logged under a name, with secrets hidden at any depth."""
    if value is not None and not isinstance(value, bool) and is_secret_name(name):
        return HIDDEN
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {key: without_secrets(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    return value


_Cut = tuple[int, int, bytes]
"""Start, end, and replacement."""


def _values(data: bytes, lower: bytes) -> Iterator[_Cut]:
    """Yield the values that follow names of secrets."""
    for name in (*_NAMES, b"token"):
        at = lower.find(name)
        while at >= 0:
            end = at + len(name)
            is_secret = name != b"token" or _TOKEN_PREFIX.search(lower, max(0, at - 8), at)
            match = _VALUE.match(data, end) if is_secret else None
            if match is not None and (cut := _cut(match)) is not None:
                yield cut
                end = match.end()
            at = lower.find(name, end)


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
