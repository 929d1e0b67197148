"""All endpoints of manufacturing."""

from collections.abc import Sequence

from fastapi import APIRouter

from services.manufacturing.application.shell import Shell
from services.manufacturing.entrypoints.http_batches import batch_router
from services.manufacturing.entrypoints.http_collections import collection_router
from services.manufacturing.entrypoints.http_doses import dose_router


def routers(shell: Shell) -> Sequence[APIRouter]:
    """The routers, for the app."""
    return (collection_router(shell), batch_router(shell), dose_router(shell))
