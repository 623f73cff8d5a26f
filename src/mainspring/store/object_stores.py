"""Opening an object store by its URL: S3 and its kin, Google Cloud Storage, Azure, over `obstore`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from mainspring.kernel.errors import InvalidInput, MissingDependency

if TYPE_CHECKING:
    from obstore.store import ObjectStore, S3Config

__all__ = ["RETRIES", "open_object_store", "split_options"]

RETRIES = 6
"""How often a request is repeated that the store refused with 5xx, or that got no answer."""
_PATIENCE = timedelta(seconds=60)
_TIMEOUT = timedelta(seconds=120)
_SECRET = ("secret", "password", "token", "account_key", "access_key", "sas", "credential")


def open_object_store(url: str, *, options: dict[str, str] | None = None, retries: int = RETRIES) -> ObjectStore:
    """The store at a URL, at its prefix; see `ObjectBucket` for the forms.

    Raises:
        InvalidInput: The URL is none, or holds credentials.
        MissingDependency: obstore is not installed.
    """
    try:
        import obstore
        from obstore.store import from_url
    except ImportError:
        raise MissingDependency("obstore", extra="s3") from None
    bare, settings = split_options(url)
    settings |= options or {}
    endpoint = settings.get("endpoint", settings.get("aws_endpoint", ""))
    if endpoint and bare.startswith(("s3://", "s3a://")):
        settings.setdefault("virtual_hosted_style_request", "false")
    try:
        store: ObjectStore = from_url(
            bare,
            config=cast("S3Config", settings),  # one type for each cloud; obstore checks the keys by the URL
            client_options={"allow_http": endpoint.startswith("http://"), "timeout": _TIMEOUT},
            retry_config={"max_retries": retries, "retry_timeout": _PATIENCE},
        )
    except (obstore.exceptions.BaseError, ValueError) as error:
        raise InvalidInput(f"{bare} cannot be opened as a bucket: {str(error).partition(chr(10))[0]}") from error
    return store


def split_options(url: str) -> tuple[str, dict[str, str]]:
    """A URL without its query, and the settings that stood in it; raises `InvalidInput` for a secret among them."""
    parts = urlsplit(url)
    settings = dict(parse_qsl(parts.query, keep_blank_values=True))
    for key in settings:
        if any(word in key.lower() for word in _SECRET):
            raise InvalidInput(
                f"the bucket's URL holds the setting {key!r}, which is a secret; URLs end up in logs",
                hint="set it in the environment, for example AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            )
    return urlunsplit(parts._replace(query="", fragment="")), settings
