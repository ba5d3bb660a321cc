"""What libraries say of damaged bytes is told as theirs, in plain letters and in bounds."""

import struct

import pytest

from lockgate_release.archives.damage import damage_as_error
from lockgate_release.errors import ArchiveError


def test_what_a_library_said_is_told_as_it_said_it() -> None:
    with pytest.raises(ArchiveError) as caught, damage_as_error((struct.error,), "app.zip"):
        struct.unpack("<I", b"")
    assert caught.value.subject == "app.zip"
    assert caught.value.found == "unpack requires a buffer of 4 bytes"
    assert isinstance(caught.value.__cause__, struct.error)


def test_words_out_of_the_bytes_themselves_are_plain_letters_and_few() -> None:
    with pytest.raises(ArchiveError) as caught, damage_as_error((ValueError,), "app.zip"):
        raise ValueError("\x1b[2J\u202e" + "x" * 9000)
    assert caught.value.found.isascii()
    assert caught.value.found.isprintable()
    assert len(caught.value.found) <= 200


def test_what_is_no_damage_stays_what_it_is() -> None:
    with pytest.raises(KeyError), damage_as_error((ValueError,), "app.zip"):
        raise KeyError
