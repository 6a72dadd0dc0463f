"""A browser without a window: asks the demo's nodes, keeps cookies. No proxy comes between."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

TIMEOUT = 10  # seconds for one answer


@dataclass(frozen=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: 200 and so on.
        headers: pairs, in the order in which they came.
        body: its content.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self) -> str:
        """The content as text."""
        return self.body.decode("utf-8")


def ask(
    port: int,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    *,
    timeout: float = TIMEOUT,
    trusted: ssl.SSLContext | None = None,
) -> Answer:
    """One request to this machine: by https with a context that trusts the node, else by HTTP.

    Raises:
        OSError, http.client.HTTPException: there is no answer.
    """
    connection = (
        http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        if trusted is None
        else http.client.HTTPSConnection("localhost", port, timeout=timeout, context=trusted)
    )
    try:
        connection.request(method, path, body=body or None, headers=dict(headers))
        response = connection.getresponse()
        return Answer(response.status, tuple(response.getheaders()), response.read())
    finally:
        connection.close()


@dataclass
class Browser:
    """Keeps cookies as browsers do: by host, so that both ports get them.

    Attributes:
        cookies: names to values.
        trusted: as `ask` takes it.
    """

    cookies: dict[str, str] = field(default_factory=dict)
    trusted: ssl.SSLContext | None = None

    def get(self, port: int, path: str) -> Answer:
        """Open a page."""
        return self.ask(port, "GET", path, {}, b"")

    def post(
        self, port: int, path: str, form: Mapping[str, str], *, origin: str | None = None
    ) -> Answer:
        """Send a form, from a page of that node unless another origin is given."""
        headers = {
            "Origin": origin or self.origin(port),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return self.ask(port, "POST", path, headers, urlencode(form).encode("ascii"))

    def origin(self, port: int) -> str:
        """That of a node."""
        return f"http://127.0.0.1:{port}" if self.trusted is None else f"https://localhost:{port}"

    def state(self, port: int) -> dict[str, Any]:
        """What a node makes of the cookies."""
        found: dict[str, Any] = json.loads(self.get(port, "/state").body)
        return found

    def ask(
        self, port: int, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> Answer:
        """Any request, with the cookies; those that the answer sets are kept."""
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
        answer = ask(port, method, path, headers, body, trusted=self.trusted)
        for cookie in answer.all("Set-Cookie"):
            name, _, rest = cookie.partition("=")
            value, _, attributes = rest.partition(";")
            if "max-age=0" in attributes.lower().replace(" ", "").split(";"):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer
