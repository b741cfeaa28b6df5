"""Who may change things: whoever presents a registered API key."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.errors import Unauthorised
from app.services import Services, services
from models import keys

_bearer = HTTPBearer(auto_error=False, description="The key in the file `api-key` in KAO_HOME.")


def require_key(
    held: Annotated[Services, Depends(services)],
    presented: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> None:
    """Raises Unauthorised unless `Authorization: Bearer KEY` has a registered key."""
    # Synchronous, so that FastAPI runs it, and its query, in a thread.
    if presented is None or not keys.is_key(held.database, presented.credentials):
        wrong = "is missing" if presented is None else "is not known"
        raise Unauthorised(
            f"The API key {wrong}. Send `Authorization: Bearer KEY`; the key is KAO_API_KEY, "
            "or else in the file api-key in KAO_HOME."
        )
