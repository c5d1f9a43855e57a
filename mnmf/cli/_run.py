"""One run: separate a session, write its stems and their manifest, and say what a user should know about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnmf.cli._terminal import interruptible, learning, progress, say, separating, warn
from mnmf.errors import ArgumentError, MnmfError, SessionError
from mnmf.output import OutputFolder
from mnmf.segments import SEGMENT

if TYPE_CHECKING:
    from mnmf.methods import Method
    from mnmf.notes import NoteDictionary
    from mnmf.plan import Size
    from mnmf.priors import Estimator
    from mnmf.room import Room
    from mnmf.separation import Stems
    from mnmf.session import Reduction, Session
    from mnmf.unfinished import Unfinished

__all__ = [
    "Helpers",
    "declared_files",
    "input_files",
    "inspected",
    "introduce",
    "report_faults",
    "separate_into",
    "size_of",
    "stale_stems",
    "within_memory",
]

INSPECTING, INSPECTING_A_MIC = 340e6, 11e6  # bytes that looking for faults holds at its peak, at any length
CHOSEN = "segment", "window"  # by the memory that is free
SHORT_SOLO = 3.0  # seconds; a few notes show a few frequencies
MOST_NAMED = 20  # ignored labels


@dataclass(frozen=True)
class Helpers:
    """What else a run may learn from: notes, estimates and a room, the files they came from, and estimates in words."""

    dictionary: NoteDictionary | None = None
    estimator: Estimator | None = None
    trust: float = 1.0
    files: list[Path] = field(default_factory=list)
    described: str | None = None
    room: Room | None = None


def introduce(session: Session) -> None:
    """Say whose microphone is whose, and what there is to know about the files, before any work is done."""
    for remark in _remarks(session):
        warn(remark)
    for n, source in enumerate(session.sources):
        say(f"{source}: {session.describe_spot(n)}")
    if session.ambient:
        why = "; nobody's spot, as their names say; if one is, --spot NAME=MIC" if session.by_name else ""
        say("ambient: " + ", ".join(map(session.describe_mic, session.ambient)) + why)
    if session.ignored:
        more = len(session.ignored) - MOST_NAMED
        say(f"ignored labels: {', '.join(session.ignored[:MOST_NAMED])}" + (f", and {more} more" if more > 0 else ""))


def _remarks(session: Session) -> dict[str, None]:
    """Return what there is to know about the files, in lines."""
    return dict.fromkeys((*session.recording.remarks, *session.solo_recording.remarks))


def inspected(take: Sequence[str], options: Mapping[str, Any]) -> Session:
    """Return the session that was asked for, its files looked at unless that is not wanted."""
    from mnmf.cli._options import opened

    if options["unchecked"] and options["align"]:
        raise ArgumentError("--align corrects what is found, so leave --unchecked out")
    if options["unchecked"]:
        return opened(take, options)
    with progress("inspect", events=False) as tell:

        def work() -> Session:
            return opened(
                take,
                options,
                inspect=True,
                align=options["align"],
                progress=lambda part: tell("inspect", part),
            )

        session = interruptible(work)
    if options["memory"] is not None:
        _inspected_within(options["memory"], session.recording.n_mics)
    # A room is of all microphones.
    return session if options["model"] is None else replace(session, aside=())


def _inspected_within(memory: str, n_mics: int) -> None:
    """Refuse a limit that looking for faults exceeds by itself, whatever is done afterwards."""
    from mnmf.plan import memory_of

    needed = INSPECTING + INSPECTING_A_MIC * n_mics
    if memory_of(memory) < needed:
        raise ArgumentError(
            f"--memory {memory}: looking for faults takes about {needed / 1e6:.0f}M with {n_mics} mics; give as much, "
            "or say --unchecked"
        )


def report_faults(session: Session) -> None:
    """Say what is wrong with the files of a session, and refuse what would ruin the result."""
    for text in _faults(session):
        warn(text)


def _faults(session: Session) -> Iterator[str]:
    """Yield what is wrong with the files of a session, and refuse what would ruin the result."""
    if session.inspected is None:
        return
    corrected = ("late", "drift", "polarity") if session.aligned else ()
    for found in session.inspected.take.findings:
        if found.kind in corrected:
            yield f"{found.text}; corrected, and undone in the stems"
        elif found.grade == "ruin":
            raise SessionError(f"{found.text}; {found.remedy}, or say --unchecked to separate it as it is")
        elif found.grade == "handled" and found.kind != "muted" and found.mic not in session.aside:
            yield f"{found.text}; {_kept_as(session, found.mic)}"
        elif found.grade != "note":
            yield str(found)


def _kept_as(session: Session, mic: int) -> str:
    """Return as what a microphone is used that might have been set aside."""
    for name, mics in zip(session.sources, session.spots):
        if mic in mics:
            return f"it is the spot of {name} all the same"
    return "it is used all the same"


def declared_files(
    session: Session,
    inside: str = "",
    *,
    residual: bool = False,
    only: Sequence[str] = (),
    all_mics: bool = False,
    projects: Sequence[str] = (),
) -> list[str]:
    """Return the files of a separation; the manifest last, because it vouches for the others."""
    from mnmf.daw import FORMATS
    from mnmf.manifest import MANIFEST, bleed_files, residual_files, stem_files

    stems, rests = stem_files(session), residual_files(session) if residual else {}
    files = [each[name] for each in (stems, rests) for name in only or session.sources if name in each]
    if all_mics:
        files += [file for mics in bleed_files(session, only).values() for file in mics.values()]
    return [inside + name for name in (*files, *(FORMATS[name] for name in projects), MANIFEST)]


def input_files(session: Session, helpers: Helpers) -> list[Path]:
    """Return the files that a run reads."""
    markers = [session.markers] if session.markers is not None else []
    return [*session.recording.paths, *session.solo_recording.paths, *helpers.files, *markers]


def stale_stems(out: Path, declared: Sequence[str]) -> list[str]:
    """Return the files of an earlier run in `out` that this one, which writes `declared`, will not replace."""
    from mnmf.cli.report import REPORT
    from mnmf.daw import FORMATS
    from mnmf.manifest import read_nobody, read_stems

    with suppress(MnmfError):
        files = [file for stem in read_stems(out) for file in stem.files]
        files += [each.file for each in read_nobody(out)]
        files += [*FORMATS.values(), REPORT]
        return [file for file in files if file not in declared and (out / file).is_file()]
    return []


def separate_into(
    folder: OutputFolder,
    session: Session,
    near: Path,
    tuning: Mapping[str, Any],
    helpers: Helpers,
    inside: str = "",
    *,
    reduction: Mapping[str, Reduction] | None = None,
    residual: bool = False,
    only: Sequence[str] = (),
    all_mics: bool = False,
    stretch: tuple[float, float] | None = None,
    unfinished: Unfinished | None = None,
    dial: Mapping[str, float] | None = None,
    projects: Sequence[str] = (),
    command: Sequence[str] = (),
) -> None:
    """Separate `session` and write stems and manifest to `folder`; paths in the manifest are relative to `near`.

    A long take keeps in `unfinished` what is done.  Of a `stretch` in seconds nothing is kept.  `projects` of
    workstations turn bleed down by `dial`.  The manifest keeps the `command`.
    """
    from mnmf import manifest
    from mnmf.files import unchanged
    from mnmf.methods import DEFAULT_METHOD, find_method
    from mnmf.separation import separate_to

    named = tuning["method"] or (DEFAULT_METHOD if helpers.room is None else helpers.room.method)
    recipe = find_method(named, dictionary=helpers.dictionary is not None)
    if (advice := recipe.advice(session)) is not None:
        warn(advice)
    options: Any = {name: tuning[name] for name in ("seed", "window", "segment", "iterations", "components")}
    options["room"] = helpers.room
    written = manifest.Written(reduction or {}, residual, only, all_mics, dial=dial or {})
    bleed = manifest.wanted_bleed(session, written)
    known = {"estimated": helpers.estimator is not None, "learned": helpers.room is not None}
    size = replace(size_of(session), n_bleed=len(bleed), **known)
    limit = _limited(size, recipe, tuning, options)
    remarks: list[str] = []

    with progress("read", _note()) as tell:

        def work() -> Stems:
            with unchanged(input_files(session, helpers)):
                digests = manifest.digests_of(session, helpers.files)
                if unfinished is not None and stretch is None:
                    asked = {name: tuning[name] for name in CHOSEN} | {"choice of --all-mics or reductions": bleed}
                    facts = _facts(session, recipe.name, options | asked, helpers, digests)
                    options.update(_chosen(unfinished, facts, {name: options[name] for name in CHOSEN}, recipe))
                    if unfinished.is_left:
                        warn("an unfinished run is kept there; this one will replace it, --resume would go on with it")
                heard, told = session, tell
                if stretch is not None:
                    heard, told = session.part(*stretch), separating(tell, "fit")
                    options["room"] = helpers.room or _room_of(session, recipe, options, tell)
                stems = separate_to(
                    {} if unfinished is None else unfinished,
                    heard,
                    method=recipe,
                    bleed=bleed,
                    dictionary=helpers.dictionary,
                    estimator=helpers.estimator,
                    trust=helpers.trust,
                    progress=told,
                    **options,
                )
                stems = _brought_back(heard, stems)
                tell("write", 0.0)
                manifest.write_stems(heard, stems, folder, written, inside)
                more = {} if helpers.described is None else {"estimates": helpers.described}
                record = manifest.manifest(heard, stems, written, near, digests, more)
                record |= _diagnosed(session, stems, written.clipped, command)
            manifest.write(folder.path(inside + manifest.MANIFEST), record)
            remarks.extend(_write_projects(folder, projects, session, near, inside))
            return stems

        stems = interruptible(work)
    for remark in (*remarks, *_warnings(session, stems, written.clipped)):
        warn(remark)
    if limit is not None and (manifest.peak_memory_mb() or 0.0) * 1e6 > limit:
        warn(f"this took {manifest.peak_memory_mb()} MB at its peak, more than was foreseen; please report it")
    say(f"{len(only or session.sources)} sources by {recipe.name} in {sum(stems.seconds.values()):.1f} s")


def _chosen(
    unfinished: Unfinished, facts: Mapping[str, Any], own: Mapping[str, Any], recipe: Method
) -> Mapping[str, Any]:
    """Return the options that an unfinished run has chosen, refused if nobody could ask for them; else its `own`."""
    from mnmf.separation import check_asked

    chosen = unfinished.begin(facts, own)
    try:
        check_asked(recipe, **chosen)
    except ArgumentError as error:
        where = f"{unfinished.directory}: the unfinished run there"
        raise SessionError(f"{where} cannot be gone on with: {error}; leave --resume out to start afresh") from error
    return chosen


def _write_projects(
    folder: OutputFolder, formats: Sequence[str], session: Session, near: Path, inside: str
) -> list[str]:
    """Write projects of workstations from the manifest and the stems that are ready; return what there is to say."""
    from mnmf.daw import FORMATS, read_project, write_project
    from mnmf.manifest import MANIFEST

    remarks: list[str] = []
    for name in formats:
        stems = folder.path(inside + MANIFEST).parent
        project = read_project(stems, channels=name != "dawproject", near=near, take=session.recording)
        write_project(folder.path(inside + FORMATS[name]), project, name)
        remarks += project.remarks
    return remarks


def _brought_back(session: Session, stems: Stems) -> Stems:
    """Return stems that lie under what was recorded."""
    from mnmf.separation import as_recorded

    alignment = session.alignment()
    if alignment is None:
        return stems
    return as_recorded(stems, replace(session, aligned=False).take(whole=False), alignment)


def _limited(size: Size, recipe: Method, tuning: Mapping[str, Any], options: dict[str, Any]) -> float | None:
    """Do as `within_memory`, by the window of the room if there is one."""
    room = options["room"]
    if room is None:
        return within_memory(size, recipe, tuning, options)
    sized = options | {"window": room.window_length / room.sample_rate}
    limit = within_memory(size, recipe, tuning, sized)
    options["segment"] = sized["segment"]
    return limit


def _room_of(session: Session, recipe: Method, options: dict[str, Any], tell: Callable[[str, float], Any]) -> Room:
    """Return what a take teaches of its room; its window is that of the room from now on."""
    from mnmf.separation import learn

    known = {name: value for name, value in options.items() if name != "room"}
    room = learn(session, method=recipe, progress=learning(tell, "learn"), **known)
    options["window"] = None
    return replace(room, of_this_take=True)


def _note() -> str:
    """Return what a user should know who waits for the first time."""
    from mnmf.kernels import nothing_compiled

    return " (compiling, about a quarter of a minute, first run only)" if nothing_compiled() else ""


def size_of(session: Session) -> Size:
    """Return the size of a session's take."""
    import numpy as np

    from mnmf.plan import Size

    recording = session.recording
    known = not session.without_solo()
    return Size(
        recording.n_samples,
        recording.sample_rate,
        recording.n_mics,
        len(session.sources),
        known,
        double=recording.exact_dtype is np.float64,
        shared=session.spots.shared,
    )


def within_memory(size: Size, recipe: Method, tuning: Mapping[str, Any], options: dict[str, Any]) -> float | None:
    """Refuse what needs too much memory, or choose less in `options`; return the limit if it is known.

    Windows become shorter, then segments.  Half of what is free is the limit if none is given.
    """
    import psutil  # type: ignore[import-untyped]

    from mnmf.plan import memory_of, plan, plan_within

    text = tuning.get("memory")
    limit = psutil.virtual_memory().available / 2 if text is None else memory_of(text)
    why = "half of the free memory is the limit" if text is None else "--memory"
    given = {name: options[name] for name in ("segment", "window", "components")}
    wished, planned = plan(recipe, size, **given), plan_within(recipe, size, limit, why, **given)
    if planned is None or wished is None:
        if text is not None:
            raise ArgumentError(f"--memory: what {recipe.name} needs is not known; leave it out")
        return None
    if options["segment"] is None and planned.segment != SEGMENT:
        options["segment"] = planned.segment
        warn(f"segments of {planned.segment:.0f} s instead of {SEGMENT:.0f}, to need no more than {limit / 1e9:.1f}G")
    if planned.window != wished.window:
        options["window"] = planned.window
        shorter = f"windows of {planned.window:.2f} s instead of {wished.window:.2f}"
        warn(f"{shorter}, to need no more than {limit / 1e9:.1f}G")
    return float(limit)


def _facts(
    session: Session, method: str, options: Mapping[str, Any], helpers: Helpers, digests: Mapping[Path, str]
) -> dict[str, Any]:
    """Return everything that decides what a run finishes."""
    from mnmf import manifest
    from mnmf._version import __version__

    return {
        "version of mnmf": __version__,
        "version of a library": manifest.versions(),
        "method": method,
        **{name: value for name, value in options.items() if name != "room"},  # its file is among those below
        "take": [[path.name, digests[path]] for path in session.recording.paths],
        "beginning of a file": session.recording.starts,
        "solo take": [[path.name, digests[path]] for path in session.solo_recording.paths],
        "file of estimates, notes or a room": [[path.name, digests[path]] for path in helpers.files],
        "choice of sources and spots": [session.sources, session.spots, session.ambient],
        "choice of instruments or queries": [session.instruments, session.queries],
        "solo": [[solo.source, solo.start, solo.stop] for solo in session.passages],
        "estimate": [helpers.described, helpers.trust],
        "choice of --align or of mics set aside": [str(session.alignment()), session.aside],
    }


def _diagnosed(
    session: Session, separation: Stems, clipped: Mapping[str, int], command: Sequence[str]
) -> dict[str, Any]:
    """Return what the manifest keeps of how it went."""
    from mnmf.diagnostics import KEY, record_of

    said = [*_remarks(session), *_faults(session), *_warnings(session, separation, clipped)]
    return {KEY: record_of(separation, said, command)}


def _warnings(session: Session, separation: Stems, clipped: Mapping[str, int]) -> list[str]:
    """Return what may have cost quality, in lines."""
    found: list[str] = []
    lasting = {name: sum(p.stop - p.start for p in session.passages if p.source == name) for name in session.sources}
    short = [f"{name} {seconds:.1f} s" for name, seconds in lasting.items() if 0 < seconds < SHORT_SOLO]
    if short and not separation.method.longer_window:  # else how far they hold has been found out
        found.append(
            f"short solos ({', '.join(short)}): under {SHORT_SOLO:.0f} s of playing shows few frequencies and "
            "can do more harm than good; label more (claps may be as short)"
        )
    found += separation.remarks
    if separation.not_estimated:
        names = ", ".join(separation.not_estimated)
        found.append(f"no estimate of {names}: what the spot hears stands in for it")
    for source, count in clipped.items():
        if count:
            found.append(f"{source}: {count} samples clipped at full scale")
    return found
