"""Certificates for tests, from an authority that nobody else trusts."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import trustme


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self) -> None:
        """Makes its key."""
        self._authority = trustme.CA()

    def server(self, *names: str, not_after: datetime | None = None) -> ssl.SSLContext:
        """The TLS side of a server with a certificate for these names (127.0.0.1 unless given)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*(names or ("127.0.0.1",)), not_after=not_after).configure_cert(context)
        return context

    def expired(self, *names: str) -> ssl.SSLContext:
        """The same with a certificate that is out of date."""
        return self.server(*names, not_after=datetime(2020, 1, 1, tzinfo=UTC))

    def trust(self, context: ssl.SSLContext) -> None:
        """Make a client trust this authority."""
        self._authority.configure_trust(context)

    @property
    def pem(self) -> bytes:
        """The authority's certificate, for SSL_CERT_FILE."""
        return self._authority.cert_pem.bytes()
