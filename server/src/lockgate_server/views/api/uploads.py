"""Uploads: begin one, send its parts, finish it, give it up."""

from __future__ import annotations

from flask import Response, request

from lockgate_release.errors import UsageError
from lockgate_release.names import parse_app_name, parse_sha256
from lockgate_release.uploads import (
    MAX_PARTS,
    ArrivedPart,
    BeginRequest,
    FinishRequest,
    UrlsRequest,
    parse_upload_id,
)
from lockgate_server.services.write.finishing import finish_upload
from lockgate_server.services.write.uploads import (
    begin_upload,
    describe_urls,
    find_upload,
    give_up_upload,
    make_urls,
    receive_part,
)
from lockgate_server.views.api.context import (
    answer,
    content_length,
    context,
    json_body,
    write_deps,
)

__all__ = ["delete_upload", "post_finish", "post_upload", "post_urls", "put_part"]


def post_upload(app: str) -> Response:
    """Begin an upload, or join it."""
    said = json_body(BeginRequest.parse)
    limit_bytes = context().max_artifact_bytes
    state = begin_upload(write_deps(), parse_app_name(app), said, limit_bytes=limit_bytes)
    return answer(state.to_json())


def post_urls(app: str, upload_id: str) -> Response:
    """Give out the addresses of some parts."""
    said = json_body(UrlsRequest.parse)
    urls = make_urls(write_deps(), parse_app_name(app), parse_upload_id(upload_id), said.numbers)
    return answer(describe_urls(urls))


def put_part(app: str, upload_id: str, number: str) -> Response:
    """Receive one part."""
    size_bytes = content_length(context().max_artifact_bytes)
    digest = parse_sha256(request.args.get("sha256", ""))
    deps = write_deps()
    record = find_upload(deps, parse_app_name(app), parse_upload_id(upload_id))
    part = ArrivedPart(number=_parse_number(number), size_bytes=size_bytes, sha256=digest)
    return answer(receive_part(deps, record, part, request.stream).to_json())


def _parse_number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= MAX_PARTS:
        raise UsageError("not a part", expected=f"1 to {MAX_PARTS}", found=repr(text[:20]))
    return int(text)


def post_finish(app: str, upload_id: str) -> Response:
    """Verify what has arrived, and put it at its content address."""
    said = json_body(FinishRequest.parse)
    is_new = finish_upload(write_deps(), parse_app_name(app), parse_upload_id(upload_id), said)
    return answer({"sha256": said.sha256, "size": said.size_bytes}, 201 if is_new else 200)


def delete_upload(app: str, upload_id: str) -> Response:
    """Give an upload up."""
    give_up_upload(write_deps(), parse_app_name(app), parse_upload_id(upload_id))
    return Response(status=204)
