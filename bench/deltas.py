"""What a delta costs beside its rivals, on real consecutive releases: size, and CPU and memory.

The pairs are pinned by version and hash and fetched when this runs (`bench.deltas_pairs`). Every
delta is applied, and what comes out is compared with the new release by SHA-256; a figure stands
here only if it matched. Each making and each applying is a process of its own, measured from its
start to its end: processor time with its children, and the most memory that was resident, mapped
files included. Rivals work on canonical tars, as tufup does; ours works on trees, as the client has
them. `smallest` is the smallest of all rivals on the same pair.

Applying is the median of five. bsdiff4's is measured in each run, in turns with ours: processor
time for the same work varies by a half with what else the machine does.

It takes an hour of processor time. With `LOCKGATE_BENCH_CACHE=FOLDER` what was fetched, bsdiff4's
deltas, and what was measured of the rivals (with their versions) stays there, and later runs
measure only ours, and bsdiff4's applying.
`LOCKGATE_BENCH_PAIRS="uv numpy"` picks pairs (`together`: the tree of 500 MB too).
`LOCKGATE_BENCH_QUICK=1` leaves out zstd -22 and the tree of 500 MB, `LOCKGATE_BENCH_QUICK=2` also
each rival that was not measured before.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.deltas_engines import BSDIFF4, FULL, OURS, OURS_QUICK, RIVALS, ZSTD_22, Engine
from bench.deltas_pairs import PAIRS, Laid, cache_folder, lay, lay_together, write_tar
from bench.table import Table

MB = 1_000_000
SIZE_BAR, SMALLEST_BAR, MAKE_BAR, APPLY_BAR = 0.68, 1.03, 0.4, 1.2
APPLIED_TIMES = 5
MAKE_BASE_BYTES, MAKE_FACTOR = 50 * MB, 6
APPLY_BAR_BYTES = 80 * MB
ASKED_BYTES = 2000 * MB
"""The ceiling that `lockgate publish` asks for where nobody says another."""
LINK_BYTES_PER_S = 10_000_000 / 8
_MOST_FOR_22_BYTES = 64 * MB
"""zstd -22 takes ten minutes of the larger ones, and is never the smallest there."""
_TOGETHER = ("workerd", "biome", "playwright", "basedpyright", "numpy", "uv")
_STARTER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(code)
"""
_QUICK = os.environ.get("LOCKGATE_BENCH_QUICK", "")
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Figures:
    """What one engine did with one pair; its result was right."""

    size_bytes: int
    make_s: float
    make_bytes: int
    apply_s: float
    apply_bytes: int


def run() -> Table:
    """Measure every engine on every pair, and judge ours."""
    table = Table(heads=("pair", "engine", "size in kB", "of bsdiff4", "made in", "applied in"))
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    wanted = os.environ.get("LOCKGATE_BENCH_PAIRS", "").split()
    pairs = [lay(pair, cache) for pair in PAIRS if not wanted or pair.name in wanted]
    found: dict[str, dict[str, Figures]] = {}
    with ExitStack() as later:
        for pair in pairs:
            found[pair.name] = _measure_all(pair, cache, later)
            _show(table, pair, found[pair.name])
        _judge(table, {pair.name: pair for pair in pairs}, found)
        if "together" in wanted or not (wanted or _QUICK):
            parts = [lay(pair, cache) for pair in PAIRS if pair.name in _TOGETHER]
            _judge_large(table, lay_together(parts, cache), later)
    return table


def _measure_all(pair: Laid, cache: Path, later: ExitStack) -> dict[str, Figures]:
    known = _Known(cache / "rivals.json")
    kept = pair.folder / "bsdiff4.delta"
    found: dict[str, Figures] = {}
    for engine in RIVALS:
        if engine is ZSTD_22 and _is_spared_22(pair):
            continue
        key = f"{pair.name}: {engine.name} {_version(engine)}"
        figures = known.get(key)
        if figures is None and _QUICK != "2":
            made = _make(engine, pair, later)
            figures = _figures(made, _apply({engine: made.delta}, pair, later)[engine])
            known.put(key, figures)
            if engine is BSDIFF4:
                shutil.copy(made.delta, kept)
        if figures is not None:
            found[engine.name] = figures
    ours = {engine: _make(engine, pair, later) for engine in (OURS, OURS_QUICK)}
    deltas = {engine: made.delta for engine, made in ours.items()}
    if kept.exists():
        deltas[BSDIFF4] = kept
    applied = _apply(deltas, pair, later)
    for engine, made in ours.items():
        found[engine.name] = _figures(made, applied[engine])
    if BSDIFF4 in applied:
        apply_s, apply_bytes = applied[BSDIFF4]
        found[BSDIFF4.name] = replace(found[BSDIFF4.name], apply_s=apply_s, apply_bytes=apply_bytes)
    return found


def _is_spared_22(pair: Laid) -> bool:
    return _QUICK == "1" or pair.larger_bytes > _MOST_FOR_22_BYTES


@dataclass(frozen=True)
class _Made:
    """A delta, and what making it took."""

    delta: Path
    make_s: float
    make_bytes: int


def _make(engine: Engine, pair: Laid, later: ExitStack) -> _Made:
    """Make a delta in a process of its own.

    Args:
        engine: What makes it.
        pair: The trees.
        later: Removes at the end what was made: a file system may take many times as long to
            create files right after many were removed.

    Raises:
        RuntimeError: The engine failed.
    """
    _tell(f"{pair.name}: {engine.name}")
    delta = Path(later.enter_context(tempfile.TemporaryDirectory(dir=pair.folder))) / "delta"
    place = pair.tree if engine.on_trees else pair.tar
    places = {
        "old": str(place("old")),
        "new": str(place("new")),
        "delta": str(delta),
        "old_bytes": str(max(pair.larger_bytes, 1 << 20)),
        "memory_bytes": str(ASKED_BYTES),
    }
    return _Made(delta, *_spend(engine.make, places))


def _figures(made: _Made, applied: tuple[float, int]) -> Figures:
    return Figures(made.delta.stat().st_size, made.make_s, made.make_bytes, *applied)


def _apply(
    deltas: Mapping[Engine, Path], pair: Laid, later: ExitStack
) -> dict[Engine, tuple[float, int]]:
    """Apply deltas in turns, each time in a process of its own, and compare the results.

    Returns:
        The median of the processor time of each engine in seconds, and its peak in bytes.

    Raises:
        RuntimeError: An engine failed, or made something else than the new release.
    """
    _tell(f"{pair.name}: applying")
    spent: dict[Engine, list[tuple[float, int]]] = {engine: [] for engine in deltas}
    for _ in range(APPLIED_TIMES):
        for engine, delta in deltas.items():
            spent[engine].append(_apply_once(engine, pair, delta, later))
    return {
        engine: (statistics.median(s for s, _ in it), max(peak for _, peak in it))
        for engine, it in spent.items()
    }


def _apply_once(engine: Engine, pair: Laid, delta: Path, later: ExitStack) -> tuple[float, int]:
    place = pair.tree if engine.on_trees else pair.tar
    folder = Path(later.enter_context(tempfile.TemporaryDirectory(dir=pair.folder)))
    result = folder / "new"
    places = {"old": str(place("old")), "new": str(result), "delta": str(delta)}
    places["old_bytes"] = str(max(pair.larger_bytes, 1 << 20))
    spent = _spend(engine.apply, places)
    if engine.on_trees:
        write_tar(result, folder / "new.tar")
        result = folder / "new.tar"
    if _sha256(result) != _sha256(pair.tar("new")):
        raise RuntimeError(f"{engine.name} made something else of {pair.name}")
    return spent


def _make_ceiling_bytes(pair: Laid) -> int:
    return MAKE_BASE_BYTES + MAKE_FACTOR * pair.larger_bytes


def _spend(command: Iterable[str], places: Mapping[str, str]) -> tuple[float, int]:
    """Run a command; return its processor time in seconds and its peak memory in bytes.

    A small process in between starts it: a child's peak is never below its parent's size.
    """
    filled = [part.format(**places) for part in command]
    done = subprocess.run(
        [sys.executable, "-S", "-c", _STARTER, *filled],
        capture_output=True,
        text=True,
        check=False,
        cwd=_ROOT,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{filled} exited with {done.returncode}: {done.stderr}")
    spent_s, peak_kib = done.stdout.split()
    return float(spent_s), int(peak_kib) * 1024


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _show(table: Table, pair: Laid, found: Mapping[str, Figures]) -> None:
    base = found[BSDIFF4.name].size_bytes
    for name, it in found.items():
        table.add(
            f"{pair.name} ({pair.larger_bytes / MB:.1f} MB: {pair.what})",
            name,
            f"{it.size_bytes / 1000:,.1f}",
            f"{it.size_bytes / base:.3f}",
            f"{it.make_s:.2f} s, {it.make_bytes / MB:.0f} MB",
            f"{it.apply_s:.2f} s, {it.apply_bytes / MB:.0f} MB",
        )


def _judge(
    table: Table, pairs: Mapping[str, Laid], found: Mapping[str, Mapping[str, Figures]]
) -> None:
    """Judge ours against what issue 9 demands, over all pairs."""
    rivals = {engine.name for engine in RIVALS if engine.rival}
    for engine in (*RIVALS, OURS_QUICK):
        have = [it for it in found.values() if engine.name in it]
        if len(have) == len(found):
            size, make, apply = _means(have, engine.name)
            row = (f"{size:.3f}", f"{make:.2f} of its CPU", f"{apply:.2f} of its CPU")
            table.add("geometric mean, of bsdiff4's", engine.name, "", *row)
    size, make, apply = _means(found.values(), OURS.name)
    table.add(
        "geometric mean, of bsdiff4's",
        OURS.name,
        "",
        table.judge(round(size, 3), at_most=SIZE_BAR),
        table.judge(round(make, 3), at_most=MAKE_BAR),
        table.judge(round(apply, 3), at_most=APPLY_BAR),
    )
    for name, figures in found.items():
        ours = figures[OURS.name]
        smallest = min((figures[rival].size_bytes, rival) for rival in rivals if rival in figures)
        full = figures.get(FULL.name)
        share = _over_the_link_s(ours) / _over_the_link_s(full) if full else math.nan
        table.add(
            name,
            f"{OURS.name} beside {smallest[1]}",
            "",
            table.judge(round(ours.size_bytes / smallest[0], 3), at_most=SMALLEST_BAR)
            + " of the smallest",
            _judge_peak(table, ours.make_bytes, _make_ceiling_bytes(pairs[name])),
            _judge_peak(table, ours.apply_bytes, APPLY_BAR_BYTES)
            + f", {share:.3f} of full's time on 10 Mbit/s",
        )


def _judge_large(table: Table, pair: Laid, later: ExitStack) -> None:
    """Judge the memory that ours takes on a tree of 500 MB."""
    made = _make(OURS, pair, later)
    ours = _figures(made, _apply({OURS: made.delta}, pair, later)[OURS])
    table.add(
        f"{pair.larger_bytes / MB:.0f} MB: {pair.what}",
        OURS.name,
        f"{ours.size_bytes / 1000:,.1f}",
        "",
        f"{ours.make_s:.0f} s, MB: "
        + table.judge(round(ours.make_bytes / MB), at_most=round(_make_ceiling_bytes(pair) / MB)),
        f"{ours.apply_s:.2f} s, MB: "
        + table.judge(round(ours.apply_bytes / MB, 1), at_most=APPLY_BAR_BYTES / MB),
    )


def _judge_peak(table: Table, found_bytes: int, bar_bytes: int) -> str:
    return "MB: " + table.judge(round(found_bytes / MB), at_most=round(bar_bytes / MB))


def _over_the_link_s(it: Figures) -> float:
    """The time to fetch and apply, in seconds: one link, one core, one after the other."""
    return it.size_bytes / LINK_BYTES_PER_S + it.apply_s


def _means(found: Iterable[Mapping[str, Figures]], name: str) -> tuple[float, float, float]:
    """Return the geometric means of size, CPU to make and CPU to apply, as ratios to bsdiff4's."""
    pairs = [(it[name], it[BSDIFF4.name]) for it in found]
    return (
        _geometric([ours.size_bytes / base.size_bytes for ours, base in pairs]),
        _geometric([ours.make_s / base.make_s for ours, base in pairs]),
        _geometric([ours.apply_s / base.apply_s for ours, base in pairs]),
    )


def _geometric(ratios: list[float]) -> float:
    return math.exp(sum(math.log(max(ratio, 1e-9)) for ratio in ratios) / len(ratios))


class _Known:
    """What was measured of the rivals before, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str) -> Figures | None:
        kept = self._read().get(key)
        if kept is None:
            return None
        return Figures(
            int(kept["size_bytes"]),
            kept["make_s"],
            int(kept["make_bytes"]),
            kept["apply_s"],
            int(kept["apply_bytes"]),
        )

    def put(self, key: str, figures: Figures) -> None:
        arriving = self._path.with_suffix(".arriving")
        arriving.write_text(json.dumps({**self._read(), key: asdict(figures)}, indent=1))
        arriving.replace(self._path)

    def _read(self) -> dict[str, dict[str, float]]:
        return json.loads(self._path.read_text()) if self._path.is_file() else {}


def _version(engine: Engine) -> str:
    """Name the version of what does the work, so that another one is measured anew."""
    program = engine.make[0]
    if program == sys.executable:
        wheel = {"chunks": "fastcdc"}.get(engine.name, engine.name.partition("-")[0])
        return importlib.metadata.version(wheel)
    shown = subprocess.run([program, "-V"], capture_output=True, text=True, check=False)
    first = (shown.stdout + shown.stderr).strip().splitlines()[0]
    return next((word.strip(",") for word in first.split() if "." in word), first)


def _tell(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)
