"""`ms.secret`: the value of a secret, inside a step that declares it."""

from __future__ import annotations

from typing import Any

from mainspring.kernel.context import caller
from mainspring.kernel.errors import Forbidden, InvalidInput, NotFound
from mainspring.kernel.settings import find_store, read_settings
from mainspring.pipelines.context import current_backend, current_step
from mainspring.trust.redaction import remember
from mainspring.trust.secrets import check_secret_name, find_key, from_environment, from_vault, unseal
from mainspring.trust.service import Trust

__all__ = ["secret"]


def secret(name: str) -> str:
    """The value of a secret, which the step that runs declares: `@step(secrets=("WAREHOUSE",))`.

    Looked for in `MAINSPRING_SECRET_<name>`, then in the store (`mainspring secret set`), then in HashiCorp Vault where
    the setting `vault` names a place. Each reading is in the audit log. What the step prints, shows and raises is
    recorded without the value, and a result that holds it is refused.

    Outside of a step only the environment is looked at, so that a step can be tested like any function.

    Raises:
        Forbidden: The step does not declare it.
        NotFound: It is nowhere.

    Example:
        >>> import os
        >>> os.environ["MAINSPRING_SECRET_WAREHOUSE"] = "correct horse"
        >>> secret("WAREHOUSE")
        'correct horse'
        >>> del os.environ["MAINSPRING_SECRET_WAREHOUSE"]
    """
    check_secret_name(name)
    step = current_step()
    if step is not None and name not in step.secrets:
        raise Forbidden(f"step {step.name} does not declare the secret {name}", hint=f'@step(secrets=("{name}",))')
    value, backend = from_environment(name), current_backend()
    if step is not None and backend is not None:
        if value is not None:
            Trust(backend).use_secret(name, step_id=step.step_id, source="environment")
        else:
            value = _kept(backend, name, step.step_id)
    if value is None:
        raise InvalidInput(
            f"the secret {name} was asked for where there is no store", hint=f"export MAINSPRING_SECRET_{name}=..."
        )
    remember(name, value)
    return value


def _kept(backend: Any, name: str, step_id: str) -> str:
    trust = Trust(backend)
    sealed = trust.use_secret(name, step_id=step_id)
    if sealed is not None:
        workspace = str(getattr(backend, "workspace", "") or caller().workspace)
        return unseal(sealed, key=find_key(), workspace=workspace, name=name)
    store = getattr(backend, "store", None)
    place = (store.settings if store is not None else read_settings(find_store())).vault
    value = from_vault(name, place) if place else None
    if value is None:
        raise NotFound(f"there is no secret {name}", hint=f"mainspring secret set {name}")
    trust.use_secret(name, step_id=step_id, source="vault")
    return value
