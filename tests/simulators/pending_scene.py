"""Several publishers who sign one list, each by themselves: 2 of 3, unless said otherwise.

scene = shared_scene(tmp_path)
begun = start(scene, "1.0.0")               # kept, and signed by nobody
put_signature(scene, begun.change_id, 0)    # the first publisher's
put_signature(scene, begun.change_id, 1)    # in force
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from securesystemslib.signer import Signer

from lockgate_release.documents import PolicyDocument
from lockgate_release.pending_requests import LiftWish, PendingRequest, SignaturesRequest, Wishes
from lockgate_release.requests import OfferRequest, PublishRequest
from lockgate_release.trust.partial import read_partly_signed, sign_partly, without_signatures
from lockgate_server.ports import PendingChange
from lockgate_server.services.write.deps import Caller
from lockgate_server.services.write.pending import Signed, begin, sign
from lockgate_server.services.write.pending_words import describe_pending, read_content
from lockgate_server.services.write.status import read_current
from lockgate_server.services.write.withdrawing import withdraw
from tests.simulators.publisher import PublisherSimulator
from tests.simulators.server_scene import APP, Scene

CI = Caller(actor="ci", request_id="r-ci")
PEOPLE = tuple(Caller(actor=name, request_id=f"r-{name}") for name in ("ann", "bob", "cleo"))


def shared_scene(
    folder: Path,
    *,
    threshold: int = 2,
    publishers: int = 3,
    policy: PolicyDocument | None = None,
) -> Scene:
    """An app with one release in force, whose publishers sign together."""
    publisher = PublisherSimulator(
        publishers=publishers, publisher_threshold=threshold, policy=policy
    )
    scene = Scene(folder=folder, publisher=publisher)
    scene.register()
    scene.publish("0.9.0")
    return scene


def request_of(
    scene: Scene,
    whole: PublishRequest,
    *,
    signers: Sequence[Signer] = (),
    offers: tuple[OfferRequest, ...] | None = None,
    lifts: tuple[LiftWish, ...] = (),
    title: str = "publish",
    instead_of: str = "",
) -> PendingRequest:
    """What would publish it at once, signed by these alone, to be kept until others sign."""
    assert whole.releases is not None
    unsigned = without_signatures(whole.releases)
    own = (whole.offer,) if whole.offer else ()
    wishes = Wishes(offers=own if offers is None else offers, lifts=lifts)
    request = PendingRequest(
        releases=unsigned,
        title=title,
        documents=whole.documents,
        wishes=wishes,
        instead_of=instead_of,
    )
    if not signers:
        return request
    partly = read_partly_signed(APP, scene.look().chain, "releases", unsigned)
    for keyid, text in sign_partly(partly, signers):
        partly = read_partly_signed(
            APP, scene.look().chain, "releases", partly.to_bytes(), [(keyid, text)]
        )
    return replace(request, releases=partly.to_bytes())


def start(scene: Scene, version: str, *, signed_by: Sequence[int] = (), **how: object) -> Signed:
    """Build and upload a version, and begin to publish it, signed by these publishers."""
    whole = scene.prepare(version, **how)
    request = request_of(
        scene,
        whole,
        signers=[scene.publisher.keys.publishers[place] for place in signed_by],
        title=f"publish {version}",
    )
    return begin(scene.deps(), APP, request, CI)


def signature_of(scene: Scene, change_id: str, signer: Signer) -> SignaturesRequest:
    """What somebody sends who has looked at what the server shows, and signs it."""
    content = read_content(scene.deps(), APP, change_id)
    partly = read_partly_signed(APP, scene.look().chain, content.role, content.releases)
    return SignaturesRequest(signatures=sign_partly(partly, [signer]))


def put_signature(scene: Scene, change_id: str, place: int) -> Signed:
    """Look at a change and add the signature of one publisher."""
    request = signature_of(scene, change_id, scene.publisher.keys.publishers[place])
    return sign(scene.deps(), APP, change_id, request, PEOPLE[place])


def ask_again(scene: Scene, change_id: str) -> Signed:
    """Ask the server to put in force what is signed to the end."""
    return sign(scene.deps(), APP, change_id, SignaturesRequest(signatures=()), PEOPLE[0])


def take_back(scene: Scene, change_id: str, reason: str = "", caller: Caller = CI) -> PendingChange:
    """Withdraw a change, as whoever began it does unless said otherwise."""
    return withdraw(scene.deps(), APP, change_id, reason, caller)


def waiting(scene: Scene) -> list[str]:
    """The ids of the changes that wait."""
    return [change.change_id for change in scene.ledger.pending(APP)]


def told(scene: Scene) -> list[dict[str, object]]:
    """What anybody may read of the changes that wait."""
    base = read_current(scene.deps(), APP)
    return [dict(item) for item in describe_pending(scene.deps(), base)]  # type: ignore[arg-type]
