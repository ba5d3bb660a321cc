"""What must be true of a home after a crash, and when it counts as the same as another."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from lockgate_release.digests import digest_tree
from lockgate_release.instants import parse_instant, utc_now

__all__ = [
    "LONGEST_QUARANTINE",
    "Expected",
    "Listing",
    "differences",
    "is_cached",
    "judge_entry",
    "list_home",
    "what_runs",
]

Listing = Mapping[str, str]
"""Every path of a home, with its kind, mode and content."""


LONGEST_QUARANTINE = timedelta(days=2)
"""Of a release that has failed twice at most: four hours, and a day for a clock set back."""
# In a home, or in the updater's own below it.
_CACHED = re.compile(r"([^/:]+/)?state/(metadata|documents)/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What may stand on the disk at any moment.

    Attributes:
        home: The home.
        may_run: Folders that `current` may lead to; "" for no `current`.
        trees: The signed digest of each tree, by its folder.
        releases: The folder of each release, by the digest of its document.
        mending: Of a tree that is not whole to begin with, each entry as it was and as it was
            signed: every entry must be one of the two. Empty for trees that are whole.
        environments: The digest of each environment of a tree of wheels.
    """

    home: Path
    may_run: frozenset[str]
    trees: Mapping[str, str]
    releases: Mapping[str, str]
    mending: tuple[Listing, Listing] | tuple[()] = ()
    environments: Mapping[str, str] = field(default_factory=dict)

    def judge(self) -> str:
        """What is wrong with what would run now, or ""."""
        folder = what_runs(self.home)
        if folder not in self.may_run:
            return f"{folder or 'nothing'} would run"
        if not folder:
            return ""
        tree = self.home / "versions" / folder
        if not tree.is_dir() or not self._is_whole(tree, self.trees[folder]):
            return f"{folder} would run, and is not what was signed"
        environment = self.home / "environments" / folder
        if folder in self.environments and (
            not environment.is_dir() or digest_tree(environment).sha256 != self.environments[folder]
        ):
            return f"{folder} would run, and its environment is not what was made"
        if folder in self._failed():
            return f"{folder} would run, and is in quarantine"
        return ""

    def _is_whole(self, tree: Path, signed: str) -> bool:
        """Whether it is what was signed, or nowhere worse than it began."""
        if digest_tree(tree).sha256 == signed:
            return True
        if not self.mending:
            return False
        began, wanted = self.mending
        found = list_home(tree)
        return all(
            found.get(path) in {began.get(path), wanted.get(path)}
            for path in {*found, *began, *wanted}
        )

    def _failed(self) -> set[str]:
        """The trees that are remembered to have failed here, and are to be left alone now.

        A time that lies far ahead was written under a wrong clock, and means nothing.
        """
        try:
            memory = json.loads((self.home / "state" / "memory.json").read_bytes())
        except (OSError, ValueError):
            return set()
        now = utc_now()
        return {
            self.releases[item["sha256"]]
            for item in memory["failures"]
            if now < parse_instant(item["until"]) < now + LONGEST_QUARANTINE
        }


def what_runs(home: Path) -> str:
    """The folder that `current` leads to, or ""."""
    try:
        return str((home / "current").readlink()).removeprefix("versions/")
    except FileNotFoundError:
        return ""


def judge_entry(expected: Expected) -> str:
    """What is wrong with the updater that the entry of its own home would start now, or "".

    It must be the one it came from while another is on trial or being left, else what is installed.
    """
    folder = what_runs(expected.home)
    try:
        record = json.loads((expected.home / "state" / "journal.json").read_bytes())
    except (FileNotFoundError, ValueError):
        record = {"state": "idle"}
    if record["state"] in {"trial", "rolling-back"}:
        folder = record["attempt"]["back_to"]
    entry = expected.home / "bin" / "lockgate-updater"
    ran = subprocess.run([entry, "--version"], capture_output=True, text=True, check=False)
    wanted = f"this is {folder.rpartition('-')[0]}"
    said = (ran.stdout + ran.stderr).strip()
    return "" if said == wanted else f"the entry starts {said!r} where it is {wanted!r}"


def list_home(home: Path) -> Listing:
    """Everything in a home. What two runs may not agree on is left out.

    That is: random ids, times, words for people (how the last looks went is nothing else), folders
    for a program's caches, and which verified documents the last look has left in the cache. A
    journal at rest says no more than a missing one: what is installed is then derived from the
    disk, which is compared itself.
    """
    found: dict[str, str] = {}
    for folder, folders, files in os.walk(home):
        for name in folders + files:
            path = Path(folder, name)
            if not _is_left_out(path):
                found[str(path.relative_to(home))] = _describe(path)
    return found


def _is_left_out(path: Path) -> bool:
    how_looks_went = path.name == "health.json" and path.parent.name == "state"
    # A tree's folder for caches is made when it is missing; one without its tree is left over.
    made_anew = (
        path.parent.name == "cache" and Path(path.parents[1], "versions", path.name).exists()
    )
    if how_looks_went or made_anew or path.name == "cache":
        return True
    return _is_cached_document(path) or _is_journal_at_rest(path)


def _is_cached_document(path: Path) -> bool:
    return path.parent.name == "documents" and path.name.endswith(("release.json", "extras.json"))


def _is_journal_at_rest(path: Path) -> bool:
    if path.name != "journal.json":
        return False
    try:
        record = json.loads(path.read_bytes())
    except ValueError:
        return False
    return bool(record["state"] == "idle" and record["installed"] == what_runs(path.parents[1]))


def _describe(path: Path) -> str:
    status = path.lstat()
    mode = f"{stat.S_IMODE(status.st_mode):o}"
    if stat.S_ISLNK(status.st_mode):
        return f"link to {path.readlink()}"
    if stat.S_ISDIR(status.st_mode):
        return f"folder {mode}"
    return f"file {mode} {_content(path)}"


def _content(path: Path) -> str:
    data = path.read_bytes()
    match path.name:
        case "lock":  # who held it last
            return ""
        case "memory.json":
            # A false delta is remembered unless the disk was in the way of trying it.
            return _without(data, "until", "attempt", "reason", "failed_deltas")
        case "journal.json":
            return _without(data, "id", "tries_left", "forgiven")
        case "reports.json":
            return _told(data)
        case _:
            return hashlib.sha256(data).hexdigest()


def _told(data: bytes) -> str:
    """Which arms a client says it is in and how it fared, each nonce as a number.

    What it had on the day it was counted is as it was when it was asked.
    """
    try:
        fields = json.loads(data)
    except ValueError:
        return f"damaged: {data[:40]!r}"
    nonces = [item["report"]["nonce"] for item in fields["enrolments"]]
    told = [
        f"{item['kind']} {nonces.index(item['nonce'])} {item['version']} {item.get('outcome')}"
        for item in fields["waiting"]
        if item["kind"] != "active"
    ]
    return f"{len(nonces)} arms: {sorted(told)}"


def _without(data: bytes, *names: str) -> str:
    def forget(fields: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if name not in names}

    try:
        return json.dumps(json.loads(data, object_hook=forget), sort_keys=True)
    except ValueError:
        return f"damaged: {data[:40]!r}"


def differences(found: Listing, wanted: Listing) -> list[str]:
    """What is there too much, too little or otherwise."""
    words = [f"{path}: left over" for path in sorted(found.keys() - wanted.keys())]
    words += [f"{path}: missing" for path in sorted(wanted.keys() - found.keys())]
    words += [
        f"{path}: {found[path]} instead of {wanted[path]}"
        for path in sorted(found.keys() & wanted.keys())
        if found[path] != wanted[path]
    ]
    return words


def is_cached(difference: str) -> bool:
    """Whether it concerns what was verified and can be fetched again, and is not left over."""
    return bool(_CACHED.match(difference)) and not difference.endswith(": left over")
