"""What is secret, taken out of texts before anybody sees them, wherever they come from.

1. Tokens of Lockgate, and access keys of AWS, by their shape.
2. PEM blocks, whole or cut off.
3. Names and passwords in addresses.
4. Values of parameters that are called like secrets, as in a presigned address.
5. What stands behind `Authorization` and its like, and signatures of AWS.
6. For libraries only: addresses of clients, which are nobody's business.

Each expression takes time in proportion to the text, whatever is in it.
"""

from __future__ import annotations

import re

__all__ = ["mask", "mask_addresses"]

_PARAMETERS = (
    "x-amz-[a-z-]+|x-goog-[a-z-]+|awsaccesskeyid|"
    "(?:[a-z0-9]{1,20}[_-]){0,4}(?:token|secret|password|passwd|passphrase|signature|sig|credentials?|"
    "apikey|api[_-]key|secret[_-]access[_-]key|private[_-]key)"
)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]{1,40}-----.*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)", re.S),
     "[PEM]"),
    (re.compile(r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)"
                r"([\"']?\s{0,4}[:=]\s{0,4})[^\r\n]+"), r"\1\2[masked]"),
    (re.compile(r"AWS4-HMAC-SHA256\s[^\r\n]*"), "AWS4-HMAC-SHA256 [masked]"),
    (re.compile(r"(?i)\b(bearer|basic)\s{1,4}[A-Za-z0-9._~+/=-]{12,}"), r"\1 [masked]"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://)[^\s/?#@\"'<>]+@"), r"\1[masked]@"),
    (re.compile(rf"(?i)\b({_PARAMETERS})(=|%3d|[\"']\s{{0,4}}[:=]\s{{0,4}}[\"'])[^\s&\"',;<>]+"),
     r"\1\2[masked]"),
    (re.compile(r"\blg_[A-Za-z0-9_-]{6,}"), "lg_[masked]"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}"), "[masked]"),
)  # fmt: skip
_SUSPICIOUS = re.compile(
    r"(?i)lg_|-----BEGIN|authorization|cookie|x-api-key|AWS4|bearer|basic|://|[=%\"']|AKIA|ASIA"
)
"""What every rule needs at the least: most texts have none of it, and cost one look."""
_ADDRESS = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|\[?[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,8}"
    r"(?:\d{1,3}(?:\.\d{1,3}){3})?\]?)(?![\w.])",
    re.IGNORECASE,
)


def mask(text: str) -> str:
    """Return `text` with everything replaced that may be secret (rules 1 to 5)."""
    if _SUSPICIOUS.search(text):
        for pattern, instead in _RULES:
            text = pattern.sub(instead, text)
    return text


def mask_addresses(text: str) -> str:
    """Return `text` without any network address (rule 6)."""
    return _ADDRESS.sub("[address]", text)
