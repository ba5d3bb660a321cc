"""The engines that `bench.deltas` compares, and their work as processes of their own.

`python -m bench.deltas_engines ENGINE make OLD NEW DELTA` and `… apply OLD DELTA NEW`. The rivals
work on canonical tars, as tufup does; ours works on trees.
"""

from __future__ import annotations

import hashlib
import lzma
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 65536
_ENTRY = struct.Struct("<32sII")


@dataclass(frozen=True)
class Engine:
    """A way to get from one release to the next.

    Attributes:
        name: As the tables show it.
        on_trees: It works on folders; otherwise on canonical tars.
        rival: It counts when the smallest of the other engines is looked for.
        make: The command that makes a delta, with the places of old, new and delta; each argument
            may have `{old}`, `{new}`, `{delta}`, `{old_bytes}` and `{memory_bytes}`.
        apply: The command that applies it.
    """

    name: str
    make: tuple[str, ...]
    apply: tuple[str, ...]
    on_trees: bool = False
    rival: bool = True


def _here(name: str, *, on_trees: bool = False, rival: bool = True) -> Engine:
    run = (sys.executable, "-m", "bench.deltas_engines", name)
    return Engine(
        name=name,
        make=(*run, "make", "{old}", "{new}", "{delta}", "{memory_bytes}"),
        apply=(*run, "apply", "{old}", "{delta}", "{new}"),
        on_trees=on_trees,
        rival=rival,
    )


def _zstd(level: int) -> Engine:
    high = ("--ultra",) if level > 19 else ()
    return Engine(
        name=f"zstd --patch-from, {level}",
        make=("zstd", "-q", "-f", *high, f"-{level}", "--long=31", "--patch-from={old}", "{new}",
              "-o", "{delta}"),
        apply=("zstd", "-q", "-f", "-d", "--long=31", "--patch-from={old}", "{delta}",
               "-o", "{new}"),
    )  # fmt: skip


FULL = Engine(
    name="full, zstd -19",
    make=("zstd", "-q", "-f", "-19", "{new}", "-o", "{delta}"),
    apply=("zstd", "-q", "-f", "-d", "{delta}", "-o", "{new}"),
    rival=False,
)
BSDIFF4 = _here("bsdiff4")
XDELTA3 = Engine(
    name="xdelta3",
    make=("xdelta3", "-e", "-f", "-9", "-S", "lzma", "-B", "{old_bytes}", "-s", "{old}", "{new}",
          "{delta}"),
    apply=("xdelta3", "-d", "-f", "-B", "{old_bytes}", "-s", "{old}", "{delta}", "{new}"),
)  # fmt: skip
ZSTD_19, ZSTD_22 = _zstd(19), _zstd(22)
CHUNKS = _here("chunks")
HDIFF = _here("hdiffpatch-xz")
OURS = _here("lockgate-columns-1", on_trees=True, rival=False)
OURS_QUICK = _here("lockgate-zstd-1", on_trees=True, rival=False)
RIVALS = (FULL, BSDIFF4, XDELTA3, ZSTD_19, ZSTD_22, CHUNKS, HDIFF)


def _make_bsdiff4(old: Path, new: Path, delta: Path) -> None:
    import bsdiff4  # type: ignore[import-untyped]  # noqa: PLC0415 (each process pays for its own engine only)

    bsdiff4.file_diff(str(old), str(new), str(delta))


def _apply_bsdiff4(old: Path, delta: Path, new: Path) -> None:
    import bsdiff4  # noqa: PLC0415 (as above)

    bsdiff4.file_patch(str(old), str(new), str(delta))


def _make_hdiffpatch(old: Path, new: Path, delta: Path) -> None:
    import hdiffpatch  # noqa: PLC0415 (as above)

    plain = hdiffpatch.diff(old.read_bytes(), new.read_bytes(), validate=False)
    delta.write_bytes(lzma.compress(plain, preset=9 | lzma.PRESET_EXTREME))


def _apply_hdiffpatch(old: Path, delta: Path, new: Path) -> None:
    import hdiffpatch  # noqa: PLC0415 (as above)

    new.write_bytes(hdiffpatch.apply(old.read_bytes(), lzma.decompress(delta.read_bytes())))


def _cut(path: Path) -> dict[bytes, tuple[int, int]]:
    """Return the chunks of a file by their hash, in order, with offset and size."""
    import fastcdc  # type: ignore[import-untyped]  # noqa: PLC0415 (as above)

    cut = fastcdc.fastcdc(
        str(path), _CHUNK_BYTES // 4, _CHUNK_BYTES, _CHUNK_BYTES * 4, hf=hashlib.sha256
    )
    return {bytes.fromhex(chunk.hash): (chunk.offset, chunk.length) for chunk in cut}


def _make_chunks(old: Path, new: Path, delta: Path) -> None:
    """Write what a client of desync fetches: the index, and the chunks that it does not have."""
    import fastcdc  # noqa: PLC0415 (as above)
    from backports import zstd  # noqa: PLC0415 (as above)

    have = _cut(old)
    wanted = fastcdc.fastcdc(
        str(new), _CHUNK_BYTES // 4, _CHUNK_BYTES, _CHUNK_BYTES * 4, hf=hashlib.sha256
    )
    index, blobs = bytearray(), bytearray()
    with new.open("rb") as stream:
        for chunk in wanted:
            key = bytes.fromhex(chunk.hash)
            packed = b""
            if key not in have:
                stream.seek(chunk.offset)
                packed = zstd.compress(stream.read(chunk.length), 19)
                have[key] = (0, 0)
            index += _ENTRY.pack(key, chunk.length, len(packed))
            blobs += packed
    delta.write_bytes(struct.pack("<I", len(index)) + index + blobs)


def _apply_chunks(old: Path, delta: Path, new: Path) -> None:
    from backports import zstd  # noqa: PLC0415 (as above)

    have = _cut(old)
    fetched: dict[bytes, tuple[int, int]] = {}
    with old.open("rb") as source, delta.open("rb") as stream, new.open("w+b") as target:
        (index_bytes,) = struct.unpack("<I", stream.read(4))
        for key, size_bytes, packed_bytes in _ENTRY.iter_unpack(stream.read(index_bytes)):
            at = target.tell()
            if packed_bytes:
                data = zstd.decompress(stream.read(packed_bytes))
                fetched[key] = (at, size_bytes)
            elif key in fetched:
                target.seek(fetched[key][0])
                data = target.read(size_bytes)
                target.seek(at)
            else:
                source.seek(have[key][0])
                data = source.read(size_bytes)
            target.write(data)


def _make_ours(algorithm: str, old: Path, new: Path, delta: Path, memory_bytes: int) -> None:
    from lockgate_release.deltas.making import make_delta  # noqa: PLC0415 (as above)

    make_delta(old, new, delta, algorithm=algorithm, memory_bytes=memory_bytes)


def _apply_ours(old: Path, delta: Path, new: Path) -> None:
    from lockgate_release.archives.safe_tree import Limits  # noqa: PLC0415 (as above)
    from lockgate_release.deltas.applying import apply_delta  # noqa: PLC0415 (as above)

    new.mkdir()
    apply_delta(delta, old, new, limits=Limits())


_MAKE: dict[str, Callable[[Path, Path, Path], None]] = {
    BSDIFF4.name: _make_bsdiff4,
    HDIFF.name: _make_hdiffpatch,
    CHUNKS.name: _make_chunks,
}
_APPLY: dict[str, Callable[[Path, Path, Path], None]] = {
    BSDIFF4.name: _apply_bsdiff4,
    HDIFF.name: _apply_hdiffpatch,
    CHUNKS.name: _apply_chunks,
    OURS.name: _apply_ours,
    OURS_QUICK.name: _apply_ours,
}


def main(name: str, verb: str, *arguments: str) -> None:
    """Do one engine's work in this process."""
    first, second, third = map(Path, arguments[:3])
    if verb == "apply":
        _APPLY[name](first, second, third)
    elif name in _MAKE:
        _MAKE[name](first, second, third)
    else:
        _make_ours(name, first, second, third, int(arguments[3]))


if __name__ == "__main__":
    main(*sys.argv[1:])
