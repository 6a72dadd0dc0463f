"""The cookie as headers spell it: found in a request, written into a response.

The rules are those of RFC 6265bis (attributes, prefixes, sizes) and RFC 9110 (Vary).
"""

from __future__ import annotations

from http.cookies import Morsel
from typing import Any, AnyStr

from .settings import SessionSettings


def find_cookie(header: AnyStr, name: AnyStr) -> AnyStr | None:
    """The value of one cookie in a `Cookie` header, as it stands there; None if it is not there.

    Of several with one name the first counts: browsers send the one with the longest path first
    (RFC 6265 section 5.4). Takes text or bytes; time grows with the header's length only.
    """
    if isinstance(header, str):
        equals, semicolon, blanks = "=", ";", " \t"
    else:
        equals, semicolon, blanks = b"=", b";", b" \t"
    wanted = name + equals
    at = header.find(wanted)
    while at >= 0:
        before = at
        while before and header[before - 1 : before] in (blanks[:1], blanks[1:]):
            before -= 1
        if not before or header[before - 1 : before] == semicolon:
            end = header.find(semicolon, at)
            value = header[at + len(wanted) : end if end >= 0 else None]
            return value.strip(blanks)
        at = header.find(wanted, at + len(wanted))
    return None


def set_cookie(settings: SessionSettings, token: str, max_age: int | None) -> str:
    """The value of a `Set-Cookie` header.

    Args:
        token: "" deletes the cookie.
        max_age: seconds; None for a cookie that ends with the browser. Not used for "".
    """
    if not token:
        lifetime = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    else:
        lifetime = "" if max_age is None else f"; Max-Age={max_age}"
    return (
        f"{settings.cookie_name}={token}; Path={settings.cookie_path}{lifetime}"
        f"{settings.cookie_attributes}"
    )


def merge_vary(existing: str | None) -> str:
    """A `Vary` header with Cookie added, unless it or * stands there already."""
    if not existing:
        return "Cookie"
    names = [name.strip() for name in existing.split(",") if name.strip()]
    if not any(name == "*" or name.lower() == "cookie" for name in names):
        names.append("Cookie")
    return ", ".join(names)


class Written(Morsel[str]):
    """A cookie that goes out as it was written, among those that Python's `http.cookies` writes.

    Args:
        line: what stands after `Set-Cookie:`.
    """

    def __init__(self, line: str) -> None:
        super().__init__()
        name, _, rest = line.partition("=")
        value, *attributes = rest.split("; ")
        self.set(name, value, value)
        for attribute in attributes:
            key, _, text = attribute.partition("=")
            if self.isReservedKey(key):
                self[key] = text or True
        self._line = line

    def __reduce__(self) -> tuple[type[Written], tuple[str]]:
        """A cached response is pickled with its cookies."""
        return Written, (self._line,)

    def OutputString(self, attrs: Any = None) -> str:
        """What stands after `Set-Cookie:`."""
        del attrs
        return self._line
