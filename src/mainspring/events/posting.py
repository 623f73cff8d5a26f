"""Posting to an address that a person gave, without letting it reach what only this machine can.

A webhook's URL is chosen by a user and called by the server, so it could be pointed at the server's own network: a
database, a cloud's metadata. The name is resolved, every address looked at, and the connection made to an address that
was looked at, not to the name again: a name that answers otherwise the second time gains nothing. No proxy is used and
no redirect followed.

By hand over `http.client`, because the public clients resolve by themselves and let nobody look at the address between.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from contextlib import closing, suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from mainspring.events.cloudevents import Prepared
from mainspring.events.types import Outcome
from mainspring.kernel.errors import InvalidInput

__all__ = ["check_url", "is_public", "post"]

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_WHOLE_SECONDS = 30.0
_SHOWN = 2000
_LONGEST_PAUSE = 3600.0
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LATER = {408, 425, 429, *range(500, 600)}


class _NotAllowed(Exception):
    """The address must not be called."""


def check_url(url: str, *, private: bool) -> None:
    """Refuse an address that webhooks may not have.

    Args:
        url: `https://...`; `http://` where private addresses are permitted.
        private: Whether addresses that are not public are permitted.

    Raises:
        InvalidInput: It is no URL, its name is not known, or it leads into a network of our own.
    """
    parts = _split(url)
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise InvalidInput(
            f"a webhook's URL begins with https://, and this is {url!r}",
            hint="events.set_policy(private=True) permits http:// and private addresses in this workspace",
        )
    try:
        _addresses(parts, private=private)
    except _NotAllowed as error:
        raise InvalidInput(
            f"{url}: {error}", hint="events.set_policy(private=True) permits private addresses in this workspace"
        ) from None
    except OSError as error:
        raise InvalidInput(f"{url}: its name cannot be resolved: {error}") from None


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet, and not of this machine, its network, or a cloud's inside.

    Example:
        >>> is_public("93.184.215.14"), is_public("169.254.169.254"), is_public("::ffff:10.0.0.1")
        (True, False, False)
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        found = inner or found
    return found.is_global and not found.is_multicast


def post(url: str, prepared: Prepared, *, private: bool) -> Outcome:
    """Post once; how it went. Whatever the other side does, this returns within half a minute or so."""
    parts = _split(url)
    if parts.scheme != "https" and not private:
        return Outcome(delivered=False, error="only https:// is permitted in this workspace")
    try:
        connection = _connect(parts, private=private)
    except _NotAllowed as error:
        return Outcome(delivered=False, error=str(error))
    except (OSError, ssl.SSLError) as error:
        return Outcome(delivered=False, error=f"cannot connect: {error}", again=True)
    watch = threading.Timer(_WHOLE_SECONDS, _cut, (connection,))
    watch.daemon = True
    watch.start()
    try:
        with closing(connection):
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, prepared.body, {"user-agent": "mainspring", **prepared.headers})
            response = connection.getresponse()
            answer = response.read(_SHOWN).decode(errors="replace")
            return _judge(response.status, answer, response.getheader("retry-after") or "")
    except (OSError, http.client.HTTPException) as error:
        return Outcome(delivered=False, error=f"no answer: {type(error).__name__}: {error}", again=True)
    finally:
        watch.cancel()


def _judge(status: int, answer: str, pause: str) -> Outcome:
    if 200 <= status < 300:
        return Outcome(delivered=True, status=status, answer=answer)
    wait = min(float(pause), _LONGEST_PAUSE) if pause.isdigit() else None
    return Outcome(
        delivered=False,
        status=status,
        answer=answer,
        error=f"the receiver answered {status}",
        again=status in _LATER,
        wait=wait,
    )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"{url!r} is not a URL: {error}") from None
    if not parts.hostname or port == 0 or any(ord(each) <= 32 for each in url):
        raise InvalidInput(f"{url!r} is not a URL with a host")
    if parts.username or parts.password:
        raise InvalidInput("a webhook's URL carries no password", hint="sign with a secret instead")
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _addresses(parts: SplitResult, *, private: bool) -> list[Any]:
    """What the name resolves to; refuses all when one of them is not public, for which is taken is chance."""
    found = socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
    for *_, address in found:
        if not private and not is_public(str(address[0])):
            raise _NotAllowed(f"{parts.hostname} leads to {address[0]}, which is not a public address")
    return found


def _connect(parts: SplitResult, *, private: bool) -> http.client.HTTPConnection:
    failed: OSError | None = None
    for family, kind, protocol, _, address in _addresses(parts, private=private):
        raw = socket.socket(family, kind, protocol)
        raw.settimeout(_CONNECT_SECONDS)
        try:
            raw.connect(address)  # to the address itself: the name is not resolved again
            raw.settimeout(_ANSWER_SECONDS)
            host = str(parts.hostname)
            if parts.scheme == "https":
                raw = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
        except OSError as error:
            raw.close()
            failed = error
            continue
        shown = f"[{host}]" if ":" in host else host
        usual = _port(parts) == (443 if parts.scheme == "https" else 80)
        connection = http.client.HTTPConnection(shown, 80 if usual else _port(parts), timeout=_ANSWER_SECONDS)
        connection.sock = raw
        return connection
    raise failed or OSError("the name has no address")


def _cut(connection: http.client.HTTPConnection) -> None:
    """End a conversation that trickles on."""
    held = connection.sock
    if held is not None:
        with suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)
