"""`lockgate upload`: one artifact to the server, so that a build matrix can gather later."""

from __future__ import annotations

import click

from lockgate_cli.artifacts import describe_file, send
from lockgate_cli.context import Call, takes
from lockgate_cli.output import say, show, show_json

__all__ = ["upload"]


@click.command()
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Everything that was found, on stdout.")
@takes("app", "server", "sending")
def upload(call: Call, *, file: str, as_json: bool) -> None:
    """Send FILE to the server and print its digest, as `publish --artifact` takes it.

    Nothing is offered by that. A job that has all digests publishes them:
    --artifact linux-x86_64=sha256:HEX, or sha256:HEX@NAME, which a single program needs.
    """
    app = call.app
    path = call.around.folder / file
    with call.api() as api, call.uploads(api, app) as uploads:
        uploads.begin(path)
        facts = describe_file(path, name=path.name, progress=call.progress())
        artifact = facts.artifact
        is_new = send(api, app, uploads, [facts])[artifact.sha256]
    if as_json:
        found = {name: value for name, value in artifact.to_json().items() if name != "platform"}
        show_json({**found, "uploaded": is_new})
    else:
        show(f"sha256:{artifact.sha256}")
    say(f"Publish it with --artifact PLATFORM=sha256:{artifact.sha256}@{artifact.name}")
