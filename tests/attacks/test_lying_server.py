"""A server that shows those who are to sign something else than was begun: nothing is signed."""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Targets

from lockgate_cli.wishing import describe_wishes, warn_of_unattested
from lockgate_release.errors import ExitCode
from lockgate_release.layout import release_path
from lockgate_release.names import AppName, ChannelName
from lockgate_release.pending_requests import PendingContent, Wishes
from lockgate_release.requests import OfferRequest
from lockgate_release.rollout.plan import DEFAULT_PLAN
from lockgate_release.steering_requests import ChosenPlan
from lockgate_release.trust.keys import generate_signer
from lockgate_release.trust.partial import change_id_of
from tests.simulators.api_server import serve_app
from tests.simulators.release_desk import APP
from tests.simulators.signers import Team, first_release, open_team


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    with open_team(tmp_path, first_release) as made:
        yield made


class Liar:
    """The real server, which shows something else to whoever is to sign."""

    def __init__(self, app: Callable[..., Any], change: Callable[[dict[str, Any]], None]) -> None:
        self.app, self.change = app, change

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if not re.search(r"/pending(/[0-9a-f]{64})?$", environ["PATH_INFO"]):
            found: Iterable[bytes] = self.app(environ, start)
            return found
        status: list[Any] = []
        body = b"".join(self.app(environ, lambda *said: status.append(said)))
        answer = json.loads(body)
        self.change(answer)
        data = json.dumps(answer).encode()
        headers = [(name, value) for name, value in status[0][1] if name != "Content-Length"]
        start(status[0][0], [*headers, ("Content-Length", str(len(data)))])
        return [data]


def list_of(answer: dict[str, Any]) -> Metadata[Targets]:
    return Metadata[Targets].from_bytes(base64.b64decode(answer["releases"]))


def put_list(answer: dict[str, Any], metadata: Metadata[Targets]) -> None:
    answer["releases"] = base64.b64encode(metadata.to_bytes()).decode()


def id_of(metadata: Metadata[Targets]) -> str:
    return change_id_of(AppName(APP), "releases", metadata)


def another_channel(metadata: Metadata[Targets]) -> None:
    for target in metadata.signed.targets.values():
        if target.custom:
            target.unrecognized_fields["custom"]["channels"] = ["stable", "secret"]


def same_name_other_content(answer: dict[str, Any]) -> None:
    if "releases" in answer:
        metadata = list_of(answer)
        another_channel(metadata)
        put_list(answer, metadata)


def other_content_without_signatures(answer: dict[str, Any]) -> None:
    if "releases" in answer:
        metadata = list_of(answer)
        another_channel(metadata)
        metadata.signatures.clear()
        put_list(answer, metadata)


def another_document(answer: dict[str, Any]) -> None:
    if "releases" in answer:
        path = release_path("1.0.0")
        document = base64.b64decode(answer["documents"][path])
        answer["documents"][path] = base64.b64encode(document + b" ").decode()


def no_document(answer: dict[str, Any]) -> None:
    answer.get("documents", {}).clear()


def a_higher_number(answer: dict[str, Any]) -> None:
    if "releases" in answer:
        metadata = list_of(answer)
        metadata.signed.version += 1
        metadata.signatures.clear()
        put_list(answer, metadata)


def other_bytes_for_what_is_live(answer: dict[str, Any]) -> None:
    if "releases" in answer:
        metadata = list_of(answer)
        live = metadata.signed.targets[release_path("0.9.0")]
        live.hashes["sha256"] = "00" * 32
        metadata.signatures.clear()
        put_list(answer, metadata)
        answer["change"] = id_of(metadata)


def without_what_is_offered(answer: dict[str, Any]) -> None:
    if "releases" in answer:
        metadata = list_of(answer)
        for path in list(metadata.signed.targets):
            if "0.9.0" in path:
                del metadata.signed.targets[path]
        metadata.signatures.clear()
        put_list(answer, metadata)
        answer["change"] = id_of(metadata)


def one_that_lasts_for_ever(answer: dict[str, Any]) -> None:
    if "releases" in answer:
        metadata = list_of(answer)
        metadata.signed.expires = metadata.signed.expires.replace(year=2099)
        metadata.signatures.clear()
        put_list(answer, metadata)
        answer["change"] = id_of(metadata)


def what_is_no_release(answer: dict[str, Any]) -> None:
    if "releases" in answer:
        metadata = list_of(answer)
        metadata.signed.targets["stray"] = metadata.signed.targets[release_path("0.9.0")]
        metadata.signatures.clear()
        put_list(answer, metadata)
        answer["change"] = id_of(metadata)


def with_a_list_of_its_own(change: Callable[[Targets], None]) -> Callable[[dict[str, Any]], None]:
    """The server makes the whole list anew, under the name that it really has."""

    def lie(answer: dict[str, Any]) -> None:
        if "releases" in answer:
            metadata = list_of(answer)
            change(metadata.signed)
            metadata.signatures.clear()
            put_list(answer, metadata)
            answer["change"] = id_of(metadata)

    return lie


def hand_on(signed: Targets) -> None:
    key = generate_signer().public_key
    role = DelegatedRole("more", [key.keyid], 1, terminating=True, paths=["releases/*/*.json"])
    signed.delegations = Delegations({key.keyid: key}, {"more": role})


def hide_in_an_entry(signed: Targets) -> None:
    signed.targets[release_path("0.9.0")].unrecognized_fields["more"] = "anything"


def hide_in_the_list(signed: Targets) -> None:
    signed.unrecognized_fields["x-more"] = "anything"


def break_what_is_live(signed: Targets) -> None:
    signed.targets[release_path("0.9.0")].length += 1


def demand_targets_of_the_future(signed: Targets) -> None:
    signed.targets[release_path("1.0.0")].unrecognized_fields["custom"]["targets"] = 1000


a_hidden_delegation = with_a_list_of_its_own(hand_on)
a_hidden_field_of_an_entry = with_a_list_of_its_own(hide_in_an_entry)
a_hidden_field_of_the_list = with_a_list_of_its_own(hide_in_the_list)
another_length_of_what_is_live = with_a_list_of_its_own(break_what_is_live)
targets_of_the_future = with_a_list_of_its_own(demand_targets_of_the_future)


def another_name(answer: dict[str, Any]) -> None:
    for item in answer.get("pending", ()):
        item["versions"] = ["1.0.1"]


Lie = Callable[[dict[str, Any]], None]
LIES: dict[Lie, tuple[ExitCode, str]] = {
    same_name_other_content: (ExitCode.REFUSED, "of another list than this one"),
    other_content_without_signatures: (ExitCode.REFUSED, "by another name than its content"),
    another_document: (ExitCode.REFUSED, "not the bytes that the list names"),
    no_document: (ExitCode.REFUSED, "the server does not show it"),
    a_higher_number: (ExitCode.CONFLICT, "does not follow the list in force"),
    other_bytes_for_what_is_live: (ExitCode.REFUSED, "a live release with other bytes"),
    without_what_is_offered: (ExitCode.REFUSED, "take out what a channel offers"),
    what_is_no_release: (ExitCode.REFUSED, "not a release's document"),
    a_hidden_delegation: (ExitCode.REFUSED, "a list that delegates"),
    a_hidden_field_of_an_entry: (ExitCode.REFUSED, "an entry that says more than an entry does"),
    a_hidden_field_of_the_list: (ExitCode.REFUSED, "a list that says more than a list does"),
    another_length_of_what_is_live: (ExitCode.REFUSED, "a live release with other bytes"),
    targets_of_the_future: (ExitCode.REFUSED, "names targets that are not in force"),
    one_that_lasts_for_ever: (ExitCode.REFUSED, "an expiry that no list has"),
}


@pytest.mark.parametrize("lie", list(LIES))
def test_the_second_signer_signs_nothing_that_a_lying_server_shows(team: Team, lie: Lie) -> None:
    code, words = LIES[lie]
    team.begin("1.0.0")
    team.sign(team.ann, "1.0.0")
    with serve_app(Liar(team.desk.server.api(), lie)) as address:
        team.reach(address, team.bob)
        team.bob.must_end(code, ["sign", APP, "1.0.0", "--yes"], words)
    assert team.waiting()[0]["missing"] == 1
    assert team.desk.versions() == {"0.9.0"}


def lower_floors(answer: dict[str, Any]) -> None:
    for item in answer.get("pending", ()):
        item["change"] = "0" * 64
    if "releases" in answer:
        metadata = list_of(answer)
        for target in metadata.signed.targets.values():
            if target.custom:
                target.unrecognized_fields["custom"]["floor"] = {"stable": "0.1.0"}
        metadata.signatures.clear()
        put_list(answer, metadata)
        answer["change"] = id_of(metadata)


def test_a_lift_that_comes_before_any_revocation_is_shown(team: Team) -> None:
    def lift_beforehand(signed: Targets) -> None:
        custom = signed.targets[release_path("1.0.0")].unrecognized_fields["custom"]
        custom["lifted"] = {"stable": "9999-01-01T00:00:00Z"}

    team.begin("1.0.0")
    lie = with_a_list_of_its_own(lift_beforehand)
    with serve_app(Liar(team.desk.server.api(), lie)) as address:
        team.reach(address, team.bob)
        shown = team.bob.must("sign", APP, "1.0.0", "--dry-run").out
    assert "1.0.0 cannot be revoked in stable before 9999-01-01" in shown


def test_names_and_titles_that_others_wrote_forge_no_lines(team: Team) -> None:
    forged = "slow\n2 of 2 signatures"
    chosen = ChosenPlan(plan=DEFAULT_PLAN, name=forged)
    offer = OfferRequest(channel=ChannelName("stable"), version="1.0.0", chosen=chosen)
    content = PendingContent(
        change_id="0" * 64,
        role="releases",
        releases=b"",
        title=forged,
        documents={},
        wishes=Wishes(offers=(offer,)),
    )
    (line,) = describe_wishes(content)
    assert line.endswith("by the plan slow 2 of 2 signatures")
    found: list[dict[str, object]] = [{"channel": forged, "version": forged}]
    (warning,) = warn_of_unattested(found, forged)
    assert "\n" not in warning
    team.begin("1.0.0")

    def rename(answer: dict[str, Any]) -> None:
        for item in answer.get("pending", ()):
            item["title"] = forged

    with serve_app(Liar(team.desk.server.api(), rename)) as address:
        team.reach(address, team.bob)
        shown = team.bob.must("pending", APP).out
    assert f"{APP}: slow 2 of 2 signatures" in shown.splitlines()


def test_a_floor_that_the_server_lowers_in_what_waits_is_noticed(team: Team) -> None:
    team.begin("1.0.0", "--floor", "0.9.0")
    team.sign_all("1.0.0")
    team.begin("1.1.0")

    class Rerouted(Liar):
        def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            environ["PATH_INFO"] = environ["PATH_INFO"].replace("0" * 64, change)
            return super().__call__(environ, start)

    change = team.change()
    with serve_app(Rerouted(team.desk.server.api(), lower_floors)) as address:
        team.reach(address, team.bob)
        arguments = ["sign", APP, "1.1.0", "--yes"]
        team.bob.must_end(ExitCode.REFUSED, arguments, "it would lower a floor")
    assert team.waiting()[0]["signatures"] == []


def test_another_change_under_the_name_of_the_one_that_is_meant_is_refused(team: Team) -> None:
    team.begin("1.0.0")
    with serve_app(Liar(team.desk.server.api(), another_name)) as address:
        team.reach(address, team.bob)
        arguments = ["sign", APP, "1.0.1", "--yes"]
        team.bob.must_end(ExitCode.REFUSED, arguments, "shows another change", "found 1.0.0")
    assert team.waiting()[0]["signatures"] == []


def test_a_list_with_something_more_in_it_is_shown_and_has_another_id(team: Team) -> None:
    """The server makes the second signer a list of its own; the id that the first one saw tells."""
    team.begin("1.0.0")
    team.sign(team.ann, "1.0.0")
    seen_by_ann = team.change()

    def widened(answer: dict[str, Any]) -> None:
        for item in answer.get("pending", ()):
            item["change"] = answer_id
        if "releases" in answer:
            metadata = list_of(answer)
            another_channel(metadata)
            metadata.signatures.clear()
            put_list(answer, metadata)
            answer["change"] = id_of(metadata)

    answer_id = widened_id(team)

    class Rerouted(Liar):
        def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            environ["PATH_INFO"] = environ["PATH_INFO"].replace(answer_id, seen_by_ann)
            return super().__call__(environ, start)

    with serve_app(Rerouted(team.desk.server.api(), widened)) as address:
        team.reach(address, team.bob)
        shown = team.bob.must("sign", APP, "1.0.0", "--dry-run").out
        assert "~ 0.9.0: may be offered in secret too" in shown
        assert "0 of 2 signatures" in shown
        assert seen_by_ann not in shown
        arguments = ["sign", APP, "1.0.0", "--yes", "--change", seen_by_ann]
        team.bob.must_end(ExitCode.USAGE, arguments, "another change waits under that name")
        # And if it is signed all the same: the server has one signature for each, and none is live.
        team.bob.must_end(ExitCode.REFUSED, ["sign", APP, "1.0.0", "--yes"], "of another list")
    assert team.desk.versions() == {"0.9.0"}


def widened_id(team: Team) -> str:
    (change,) = team.desk.server.ledger.pending(AppName(APP))
    metadata = Metadata[Targets].from_bytes(change.metadata)
    another_channel(metadata)
    return id_of(metadata)
