"""The routes for changes that wait for signatures."""

from __future__ import annotations

from lockgate_server.ports import Scope
from lockgate_server.views.api import pending
from lockgate_server.views.api.route import APP, Route

__all__ = ["PENDING_ROUTES"]

_ALL = f"{APP}/pending"
_ONE = f"{_ALL}/{{change}}"

PENDING_ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=_ALL,
        view=pending.post_pending,
        scope=Scope.PUBLISH,
        summary="Keep a next list until enough publishers have signed it (with lifts: admin)",
        request="PendingRequest",
        answers={200: "PendingOutcome"},
        refusals=(404, 409, 411, 413, 422, 507),
    ),
    Route(
        method="GET",
        path=_ALL,
        view=pending.list_pending,
        scope=Scope.READ,
        summary="List the changes that wait for signatures",
        answers={200: "PendingList"},
        refusals=(404,),
    ),
    Route(
        method="GET",
        path=_ONE,
        view=pending.show_pending,
        scope=Scope.PUBLISH,
        summary="Show a change with every byte of it, for whoever is to sign it",
        answers={200: "PendingContent"},
        refusals=(404,),
    ),
    Route(
        method="POST",
        path=f"{_ONE}/signatures",
        view=pending.post_signatures,
        scope=Scope.PUBLISH,
        summary="Add signatures to a change; with the last that is missing, it comes into force",
        request="SignaturesRequest",
        answers={200: "PendingOutcome"},
        refusals=(404, 409, 411, 413, 422, 507),
    ),
    Route(
        method="POST",
        path=f"{_ONE}/withdraw",
        view=pending.post_withdraw,
        scope=Scope.PUBLISH,
        summary="Drop a change that waits for signatures",
        request="WithdrawRequest",
        answers={200: "Withdrawn"},
        refusals=(404, 409, 411, 413, 507),
    ),
)
