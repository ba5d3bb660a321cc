"""Every route of the API, in one table: what is registered, and what the OpenAPI document says."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from flask import Blueprint, Response

from lockgate_server.errors import NotFoundError
from lockgate_server.ports import Ledger, Scope
from lockgate_server.views.api import (
    approvals,
    apps,
    artifacts,
    audit,
    ceremonies,
    channels,
    metadata,
    mirrors,
    releases,
    revocations,
    rollouts,
    service,
    stops,
    uploads,
)
from lockgate_server.views.api.auth import require
from lockgate_server.views.api.context import answer, context
from lockgate_server.views.api.openapi import describe_api
from lockgate_server.views.api.pending_routes import PENDING_ROUTES
from lockgate_server.views.api.route import APP as _APP
from lockgate_server.views.api.route import Route

__all__ = ["PREFIX", "ROUTES", "Route", "api_blueprint"]

PREFIX = "/api/v1"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def _show_openapi() -> Response:
    return answer(describe_api(ROUTES, context().version))


_UPLOAD = f"{_APP}/uploads/{{upload_id}}"

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/",
        view=service.show_service,
        scope=None,
        summary="Say which side of the server this is",
        answers={200: "Service"},
    ),
    Route(
        method="GET",
        path="/openapi.json",
        view=_show_openapi,
        scope=None,
        summary="Describe this API",
        answers={200: "OpenApi"},
    ),
    Route(
        method="POST",
        path=f"{_APP}/online-key",
        view=apps.make_key,
        scope=Scope.ADMIN,
        summary="Make the server's key for an app, or say which it is",
        answers={200: "OnlineKey"},
        refusals=(409,),
    ),
    Route(
        method="GET",
        path=f"{_APP}/online-key",
        view=ceremonies.show_keys,
        scope=Scope.READ,
        summary="Show which keys of the server's sign for an app",
        answers={200: "OnlineKeys"},
        refusals=(404,),
    ),
    Route(
        method="POST",
        path=f"{_APP}/online-key/next",
        view=ceremonies.post_next_key,
        scope=Scope.ADMIN,
        summary="Make the server's next key for an app, or say which it is; both sign from then on",
        answers={200: "OnlineKey"},
        refusals=(404, 409, 507),
    ),
    Route(
        method="PUT",
        path=_APP,
        view=apps.put_app,
        scope=Scope.ADMIN,
        summary="Register an app",
        request="RegisterRequest",
        answers={200: "AppStatus", 201: "AppStatus"},
        refusals=(409, 422),
    ),
    Route(
        method="GET",
        path="/apps",
        view=apps.list_apps,
        scope=Scope.READ,
        summary="List the apps",
        answers={200: "AppList"},
    ),
    Route(
        method="GET",
        path=_APP,
        view=apps.show_app,
        scope=Scope.READ,
        summary="Show how an app stands",
        answers={200: "AppStatus"},
        refusals=(404,),
    ),
    Route(
        method="GET",
        path=f"{_APP}/releases",
        view=releases.list_releases,
        scope=Scope.READ,
        summary="List the live releases, newest first",
        answers={200: "ReleaseList"},
        refusals=(404,),
    ),
    Route(
        method="GET",
        path=f"{_APP}/releases/{{version}}",
        view=releases.show_release,
        scope=Scope.READ,
        summary="Show one live release with its documents",
        answers={200: "ReleaseDetail"},
        refusals=(404,),
    ),
    Route(
        method="GET",
        path=f"{_APP}/installed",
        view=releases.list_installed,
        scope=Scope.READ,
        summary="Say which versions clients use, by the reports of the last 7 days",
        answers={200: "Installed"},
        refusals=(404,),
    ),
    Route(
        method="HEAD",
        path=f"{_APP}/artifacts/{{sha256}}",
        view=artifacts.head_artifact,
        scope=Scope.PUBLISH,
        summary="Say whether an artifact is there",
        answers={200: ""},
        refusals=(404,),
    ),
    Route(
        method="POST",
        path=f"{_APP}/uploads",
        view=uploads.post_upload,
        scope=Scope.PUBLISH,
        summary="Begin an upload, or join the one of this id",
        request="BeginRequest",
        answers={200: "UploadState"},
        refusals=(404, 409, 411, 413, 507),
    ),
    Route(
        method="POST",
        path=f"{_UPLOAD}/urls",
        view=uploads.post_urls,
        scope=Scope.PUBLISH,
        summary="Give out addresses that take parts of an upload in direct mode",
        request="UrlsRequest",
        answers={200: "UploadUrls"},
        refusals=(404, 411, 413),
    ),
    Route(
        method="PUT",
        path=f"{_UPLOAD}/parts/{{number}}",
        view=uploads.put_part,
        scope=Scope.PUBLISH,
        summary="Send one part of an upload in server mode",
        request="bytes",
        answers={200: "UploadPart"},
        refusals=(404, 411, 413, 422, 507),
        query={"sha256": "SHA-256 of the part"},
    ),
    Route(
        method="POST",
        path=f"{_UPLOAD}/finish",
        view=uploads.post_finish,
        scope=Scope.PUBLISH,
        summary="Verify an upload, and put it at the address of its content",
        request="FinishRequest",
        answers={200: "ArtifactReceipt", 201: "ArtifactReceipt"},
        refusals=(404, 409, 411, 413, 422, 507),
    ),
    Route(
        method="DELETE",
        path=_UPLOAD,
        view=uploads.delete_upload,
        scope=Scope.PUBLISH,
        summary="Give an upload up",
        answers={204: ""},
        refusals=(404,),
    ),
    Route(
        method="POST",
        path=f"{_APP}/publish",
        view=releases.publish_release,
        scope=Scope.PUBLISH,
        summary="Put the next list of releases in force, and offer one of them",
        request="PublishRequest",
        answers={200: "Published"},
        refusals=(404, 409, 411, 413, 422, 507),
    ),
    Route(
        method="GET",
        path=f"{_APP}/channels/{{channel}}/rollouts/{{version}}",
        view=rollouts.show_rollout,
        scope=Scope.READ,
        summary="Show how a rollout stands, with its evidence, judged now",
        answers={200: "RolloutDetail"},
        refusals=(404,),
    ),
    Route(
        method="PATCH",
        path=f"{_APP}/channels/{{channel}}/rollouts/{{version}}",
        view=rollouts.patch_rollout,
        scope=Scope.ADMIN,
        summary="Set, pause, resume, halt, approve or finish a rollout, or give it a plan",
        request="RolloutRequest",
        answers={200: "RolloutChanged"},
        refusals=(404, 409, 411, 413, 422, 507),
    ),
    Route(
        method="POST",
        path=f"{_APP}/stop",
        view=stops.post_stop,
        scope=Scope.ADMIN,
        summary="Let nothing reach further clients, in one channel or in the whole app",
        request="StopRequest",
        answers={200: "Stopped"},
        refusals=(404, 409, 411, 413, 422, 507),
    ),
    Route(
        method="POST",
        path=f"{_APP}/start",
        view=stops.post_start,
        scope=Scope.ADMIN,
        summary="Say yes to going on; with the last yes it needs, what was stopped goes on",
        request="StartRequest",
        answers={200: "Stopped"},
        refusals=(404, 409, 411, 413, 422, 507),
    ),
    Route(
        method="DELETE",
        path=f"{_APP}/channels/{{channel}}",
        view=channels.delete_channel,
        scope=Scope.ADMIN,
        summary="End a channel: it offers nothing any more, and its clients are told",
        answers={200: "ChannelEnded"},
        refusals=(404, 409, 507),
    ),
    Route(
        method="POST",
        path=f"{_APP}/revocations",
        view=revocations.post_revocation,
        scope=Scope.ADMIN,
        summary="Revoke a release, at once and in every channel unless said otherwise",
        request="RevokeRequest",
        answers={200: "Revoked"},
        refusals=(404, 409, 411, 413, 422, 507),
    ),
    Route(
        method="POST",
        path=f"{_APP}/revocations/lifted",
        view=revocations.post_lift,
        scope=Scope.ADMIN,
        summary="Take a revocation back that the publishers have lifted",
        request="UnrevokeRequest",
        answers={200: "Unrevoked"},
        refusals=(404, 409, 411, 413, 422, 507),
    ),
    Route(
        method="POST",
        path=f"{_APP}/metadata",
        view=metadata.post_metadata,
        scope=Scope.PUBLISH,
        summary="Put newer metadata of root, targets (both admin) or releases in force",
        request="RenewRequest",
        answers={200: "Renewed"},
        refusals=(404, 409, 411, 413, 422, 507),
    ),
    Route(
        method="POST",
        path=f"{_APP}/ceremony",
        view=ceremonies.post_ceremony,
        scope=Scope.ADMIN,
        summary="Put newer root, targets and releases in force together; safe to send again",
        request="CeremonyRequest",
        answers={200: "CeremonyOutcome"},
        refusals=(404, 409, 411, 413, 422, 507),
    ),
    *PENDING_ROUTES,
    Route(
        method="POST",
        path=f"{_APP}/approvals",
        view=approvals.post_approval,
        scope=Scope.PUBLISH,
        summary="Keep what people have signed to let a release into a channel",
        request="ApproveRequest",
        answers={200: "ApproveOutcome"},
        refusals=(404, 409, 411, 413, 422, 507),
    ),
    Route(
        method="POST",
        path=f"{_APP}/mirror-timestamps",
        view=mirrors.post_mirror_timestamp,
        scope=Scope.ADMIN,
        summary="Sign a longer-lived state for a copy; it is put nowhere else",
        request="MirrorRequest",
        answers={200: "MirrorSignature"},
        refusals=(404, 409, 411, 413, 422, 507),
    ),
    Route(
        method="GET",
        path=f"{_APP}/audit",
        view=audit.list_audit,
        scope=Scope.READ,
        summary="List who has changed what, newest first",
        answers={200: "AuditLog"},
        refusals=(404,),
        query={"limit": "How many entries, 1 to 1000"},
    ),
)


def api_blueprint(ledger: Ledger) -> Blueprint:
    """Return every route, each behind the scope it needs."""
    blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
    for route in ROUTES:
        blueprint.add_url_rule(
            route.path.replace("{", "<").replace("}", ">"),
            endpoint=f"{route.method.lower()}_{route.view.__name__.strip('_')}",
            view_func=_guarded(route, ledger),
            methods=[route.method],
            provide_automatic_options=False,
        )
    blueprint.add_url_rule("/<path:path>", "no_route", _refuse_unknown, methods=_METHODS)
    return blueprint


def _refuse_unknown(path: str) -> Response:
    raise NotFoundError(
        "no such route", subject=f"{PREFIX}/{path}", hint=f"{PREFIX}/openapi.json lists them all."
    )


def _guarded(route: Route, ledger: Ledger) -> Callable[..., Response]:
    @wraps(route.view)
    def view(**arguments: str) -> Response:
        if route.scope is not None:
            require(ledger, route.scope)
        if route.scope is Scope.PUBLISH:
            with context().slots.taken():
                return route.view(**arguments)
        return route.view(**arguments)

    return view
