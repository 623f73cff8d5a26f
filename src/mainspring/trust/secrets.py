"""Where secrets come from: the environment, the store (encrypted), HashiCorp Vault. Read where a step runs.

What the store keeps is sealed with AES-256-GCM, bound to its workspace and name. The key is not in the store, nor in
any backup of it: it is in `MAINSPRING_KEY`, or in a file that only its owner may read.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets as random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mainspring.kernel.errors import Forbidden, InvalidInput, MissingDependency, NotFound, Unavailable
from mainspring.trust.types import Sealed

__all__ = [
    "KEY_BYTES",
    "check_secret_name",
    "find_key",
    "from_environment",
    "from_vault",
    "key_file",
    "seal",
    "unseal",
]

KEY_BYTES = 32
_NONCE_BYTES = 12
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_VAULT_SECONDS = 10.0


def check_secret_name(name: str) -> str:
    """The name of a secret, which is that of an environment variable too."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name[:60]!r} is no name of a secret", hint="letters, digits and _, as in WAREHOUSE_PASSWORD"
        )
    return name


def from_environment(name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The value of `MAINSPRING_SECRET_<name>`."""
    return environ.get(f"MAINSPRING_SECRET_{name}")


def key_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where this user's key lies: `MAINSPRING_KEY_FILE`, or `mainspring/key` in the folder of configurations."""
    if named := environ.get("MAINSPRING_KEY_FILE"):
        return Path(named).expanduser()
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "mainspring" / "key"


def find_key(*, create: bool = False, environ: Mapping[str, str] = os.environ) -> bytes:
    """The key: `MAINSPRING_KEY` (32 bytes in base64), or that of the key file, which is made if it may be.

    Raises:
        NotFound: There is none.
        InvalidInput: It is not one, or others may read its file.
    """
    if text := environ.get("MAINSPRING_KEY"):
        return _key(text, "MAINSPRING_KEY")
    file = key_file(environ)
    if create and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass  # another process has just made it
        else:
            with os.fdopen(descriptor, "w") as opened:
                opened.write(base64.b64encode(random.token_bytes(KEY_BYTES)).decode() + "\n")
    try:
        mode = file.stat().st_mode
        text = file.read_text()
    except OSError:
        raise NotFound(
            "there is no key to open secrets with", hint=f"set MAINSPRING_KEY, or bring the key to {file}"
        ) from None
    if mode & 0o077:
        raise InvalidInput(f"others may read the key in {file}", hint=f"chmod 600 {file}")
    return _key(text, str(file))


def seal(value: str, *, key: bytes, workspace: str, name: str) -> Sealed:
    """Encrypt a value; only who has the key, and only under this name, opens it."""
    nonce = random.token_bytes(_NONCE_BYTES)
    data = _cipher(key).encrypt(nonce, value.encode(), _bound(workspace, name))
    return Sealed(base64.b64encode(nonce + data).decode(), _id(key))


def unseal(sealed: Sealed, *, key: bytes, workspace: str, name: str) -> str:
    """The value.

    Raises:
        Forbidden: It was sealed with another key, for another name, or was changed.
    """
    from cryptography.exceptions import InvalidTag

    data = base64.b64decode(sealed.data)
    try:
        opened = _cipher(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _bound(workspace, name))
    except InvalidTag:
        why = "was changed" if sealed.key_id == _id(key) else f"was sealed with another key ({sealed.key_id})"
        raise Forbidden(
            f"the secret {name} {why}", hint="bring the key that it was set with, or set it again"
        ) from None
    return bytes(opened).decode()


def from_vault(name: str, place: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """A field of a secret of HashiCorp Vault's key-value engine, version 2; None where there is no such field.

    Args:
        name: The field.
        place: `MOUNT/PATH`, the setting `vault`.
        environ: Has `VAULT_ADDR`, `VAULT_TOKEN` (else `~/.vault-token`) and perhaps `VAULT_NAMESPACE`, as for Vault's
            own tools.
    """
    import httpx  # few steps read secrets

    mount, _, path = place.strip("/").partition("/")
    address = environ.get("VAULT_ADDR", "")
    if not path or not address:
        raise InvalidInput("Vault needs the setting vault = 'MOUNT/PATH', and VAULT_ADDR in the environment")
    headers = {"X-Vault-Token": _vault_token(environ), "X-Vault-Request": "true"}
    if space := environ.get("VAULT_NAMESPACE"):
        headers["X-Vault-Namespace"] = space
    url = f"{address.rstrip('/')}/v1/{mount}/data/{path}"
    try:
        answer = httpx.get(url, headers=headers, timeout=_VAULT_SECONDS)
    except httpx.HTTPError as error:
        raise Unavailable(f"Vault at {address} does not answer: {type(error).__name__}") from None
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None  # never written, or its newest version was deleted
    if answer.status_code in (httpx.codes.FORBIDDEN, httpx.codes.UNAUTHORIZED):
        raise Forbidden(f"Vault refuses {place}", hint="the token in VAULT_TOKEN needs the capability read on it")
    if answer.status_code != httpx.codes.OK:
        raise Unavailable(f"Vault at {address} answers {answer.status_code}", hint="vault status")
    try:
        value = answer.json()["data"]["data"].get(name)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unavailable(
            f"what Vault answers for {place} is not of its key-value engine, version 2", hint="vault kv get"
        ) from None
    return None if value is None else str(value)


def _vault_token(environ: Mapping[str, str]) -> str:
    if token := environ.get("VAULT_TOKEN"):
        return token
    try:
        return (Path.home() / ".vault-token").read_text().strip()
    except OSError:
        raise InvalidInput("there is no token for Vault", hint="set VAULT_TOKEN, or vault login") from None


def _key(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise InvalidInput(f"{where} is not a key: 32 bytes in base64", hint="openssl rand -base64 32")
    return key


def _id(key: bytes) -> str:
    """Tells keys apart and says nothing of them."""
    return hashlib.sha256(b"mainspring key\0" + key).hexdigest()[:12]


def _bound(workspace: str, name: str) -> bytes:
    return f"mainspring secret\0{workspace}\0{name}".encode()


def _cipher(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise MissingDependency("cryptography", extra="secrets") from None
    return AESGCM(key)
