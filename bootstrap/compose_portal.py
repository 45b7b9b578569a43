"""A visitor of the portal behind its TLS proxy: sends what such a proxy sends, and keeps cookies."""

import http.client
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from bootstrap.errors import SetupError

LOGIN = "/account/login/"


class Visitor:
    """Talks to the published port as the proxy of ``host`` would, for a browser that came by https."""

    def __init__(self, port: int, host: str) -> None:
        self._port, self._host = port, host
        self._cookies: dict[str, str] = {}

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page."""
        return self._ask("GET", path, None, secure=True)

    def get_insecurely(self, path: str) -> tuple[int, str]:
        """The same for a browser that came by plain http; redirects are not followed."""
        return self._ask("GET", path, None, secure=False)

    def sign_in(self, email: str, password: str) -> None:
        """Raises SetupError if the portal does not let this person in."""
        self.get(LOGIN)
        form = {"login": email, "password": password, "csrfmiddlewaretoken": self._cookies.get("csrftoken", "")}
        status, text = self._ask("POST", LOGIN, urlencode(form), secure=True)
        if status != http.client.FOUND:
            raise SetupError(f"Signing in as {email} was answered {status}:\n{text[-600:]}")

    def _ask(self, method: str, path: str, body: str | None, secure: bool) -> tuple[int, str]:
        headers = {"Host": self._host, "X-Forwarded-Proto": "https" if secure else "http"}
        headers["X-Forwarded-For"] = "203.0.113.7"
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Referer": f"https://{self._host}{path}"}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
            for header in answer.headers.get_all("Set-Cookie") or []:
                morsels = SimpleCookie(header)
                if not all(morsel["secure"] for morsel in morsels.values()):
                    raise SetupError(f"A cookie of {path} may travel without TLS: {header.partition('=')[0]}")
                self._cookies |= {name: morsel.value for name, morsel in morsels.items()}
            return answer.status, text
        finally:
            connection.close()
