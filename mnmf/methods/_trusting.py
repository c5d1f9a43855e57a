"""What the default method starts from: solos as far as they hold, and what each spot hears best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mnmf import priors
from mnmf.kernels._threads import share_out
from mnmf.methods._evidence import Array, Evidence
from mnmf.methods._starts import FIRST_UPDATES, full_rank_prior
from mnmf.models import FastMNMF2, FullRankMNMF, match_gains
from mnmf.priors import Anchor, Prior

SPLIT = 5500.0  # hertz: bases are learned below and above apart
# Where covariances are learned from one piece alone, below so many hertz from several starts, each of a part of the
# bases.  Most of the music is there, and few of the frequencies.
LOW, STARTS, OF_BASES = 2000.0, 4, 2 / 3
LOW_BASES = STARTS * OF_BASES  # times as many there, in all
HIGH = 8000.0  # hertz: from there on bases are apart from those of the frequencies between
# What a fitted covariance would be in a room is worth so many frames: above `LOW`, where little is heard to learn each
# from, and below it, where somebody else is louder at the spot whenever it hears something at that frequency.
ROOM_FRAMES, LOW_ROOM_FRAMES = 10.0, 3.0
ROWS = 64  # frequencies that are looked at together, for memory
HELD_UPDATES = 10  # of W and H, before the model's own, where the covariances of the solos are held
PULLED_TO_ROOM = 10.0  # frames that the covariances learned from several segments are worth in one of them
NOTES = 3  # times as many bases where a spot is shared: the notes of the solos, which are more than those of a take
NOTE_UPDATES = 20  # of their activations
PULLED_TO_SOLOS = 0.03  # of the frames of a take: with this weight a solo's covariance and the fitted one start halfway


def trusting_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the covariances of the room, or of solos that hold; draw others to those of solos, or start without.

    The bases of lower and higher frequencies have activations of their own: most frequencies lie above those where most
    of the music is, and count alike.
    """
    if evidence.spots.shared:
        alone = evidence.solo is not None and all(evidence.solo[1])
        return (_sharing_prior if alone else full_rank_prior)(evidence, n_components, rng)
    if evidence.knows_room or evidence.solos_hold:
        return _joined([_held_prior(band, n_components, rng) for band in evidence.bands(SPLIT)])
    sharpness = priors.bleed_sharpness(evidence.X_FTM, evidence.spots)
    if evidence.of_many:
        return _joined([_drawn_prior(band, n_components, sharpness, 1, rng) for band in evidence.bands(SPLIT)])
    low, *higher = evidence.bands(LOW, HIGH)
    fitted = [_drawn_prior(low, n_components, sharpness, STARTS, rng)]
    fitted += [_drawn_prior(band, n_components, sharpness, 1, rng) for band in higher]
    prior = _joined(fitted)
    del fitted  # for memory
    return _as_rooms_do(prior, evidence)


def _drawn_prior(
    evidence: Evidence, n_components: int, sharpness: float, n_starts: int, rng: np.random.Generator
) -> Prior:
    """Start from what FastMNMF2 makes of the take; draw the covariances to those of solos or room as far as they hold.

    Where somebody has no solo, that player is still in the outputs of all others, and is told apart as without solos.
    """
    X_FTM, solo, spots, room = evidence.X_FTM, evidence.solo, evidence.spots, evidence.room
    Q, all_known = None, False
    if room is not None and evidence.room_frames is not None:
        all_known = evidence.room_helps
        Q = priors.unmixing(room).Q if all_known else None
    elif solo is not None:
        all_known = all(solo[1])
        Q = match_gains(X_FTM, priors.solo(*solo, spots)).Q
    if n_starts > 1:
        n_components = max(round(OF_BASES * n_components), 1)
    fitted, gains_SM = [], []
    for _ in range(n_starts):
        start = evidence.start(Q, n_components, rng, sharpness=1.0 if all_known else sharpness)
        model = FastMNMF2(n_components, FIRST_UPDATES).fit(X_FTM, start, rng=rng)
        fitted.append(model.as_full_rank())
        gains_SM.append(model.gains_)
    prior = _mean(fitted)
    if room is not None and evidence.room_frames is not None:
        alone_NFMM, weight_NF = np.asarray(room.R), evidence.room_frames
    elif solo is not None and evidence.solo_frames is not None:
        gains_M = np.mean(gains_SM, axis=0).astype(solo[0].real.dtype)
        alone_NFMM = np.asarray(priors.likely_covariances(solo[0] * gains_M, solo[1], spots).R)
        weight_NF = evidence.solo_frames
    else:
        return prior
    fitted_NFMM = np.asarray(prior.R)
    part_NF = _part_of_solos(weight_NF, X_FTM.shape[1])
    start_NFMM = _between(_of_trace_1(fitted_NFMM), _of_trace_1(alone_NFMM), part_NF)
    start_NFMM *= np.einsum("nfmm->nf", fitted_NFMM).real[..., None, None]
    return prior | Prior(R=start_NFMM, anchor=Anchor(alone_NFMM, weight_NF))


def _mean(fitted: Sequence[Prior]) -> Prior:
    """Return the mean of several fits of the same powers: of their covariances, and of all that they expect.

    Where they err they differ, as it depends on the bases that each was dealt; the mean of their powers has the bases
    of all.
    """
    if len(fitted) == 1:
        return fitted[0]
    R_SNFMM = [np.asarray(prior.R) for prior in fitted]
    level_SNF = [np.einsum("nfmm->nf", R_NFMM).real for R_NFMM in R_SNFMM]
    W_NFK = np.concatenate(
        [np.asarray(prior.W) * level_NF[..., None] / len(fitted) for prior, level_NF in zip(fitted, level_SNF)], axis=2
    )
    H_NKT = np.concatenate([np.asarray(prior.H) for prior in fitted], axis=1)
    R_NFMM = np.sum([_of_trace_1(R_NFMM) for R_NFMM in R_SNFMM], axis=0) / len(fitted)
    return replace(fitted[0], W=W_NFK, H=H_NKT, R=R_NFMM)


def _as_rooms_do(prior: Prior, evidence: Evidence) -> Prior:
    """Start R without what no room would do, and draw it to that.

    The more frames solos are worth that draw it already, the less of both: they contain what swaying and noise do.
    """
    frequencies = evidence.frequencies
    if frequencies is None or len(frequencies) < 2:
        return prior
    fitted_NFMM, known_NF = np.asarray(prior.R), _dominance(evidence.X_FTM, evidence.spots.references)
    made = priors.room_covariances(fitted_NFMM, evidence.spots, frequencies, known_NF, diagonal_above=LOW)
    R_NFMM = np.asarray(made.R)
    weight_NF = np.where(frequencies < LOW, LOW_ROOM_FRAMES * (1 - known_NF), ROOM_FRAMES)
    if prior.anchor is None:
        return replace(prior, R=R_NFMM, anchor=Anchor(R_NFMM, weight_NF))  # one array for both, for memory
    of_solos_NF = _part_of_solos(prior.anchor.weight, evidence.X_FTM.shape[1])
    weight_NF = weight_NF * (1 - of_solos_NF)
    sum_NF = weight_NF + prior.anchor.weight
    part_NF = np.divide(weight_NF, sum_NF, out=np.zeros(weight_NF.shape), where=sum_NF > 0)
    anchor_NFMM = np.empty_like(R_NFMM)
    for n, solo_FMM in enumerate(np.asarray(prior.anchor.R)):  # one at a time, for memory
        R_NFMM[n] = _between(R_NFMM[n], fitted_NFMM[n], of_solos_NF[n])
        anchor_NFMM[n] = _between(_of_trace_1(solo_FMM), _of_trace_1(R_NFMM[n]), part_NF[n])
    return replace(prior, R=R_NFMM, anchor=Anchor(anchor_NFMM, sum_NF))


def _dominance(X_FTM: Array, own: Sequence[int]) -> Array:
    """Return how far each spot is the loudest, from 0 to 1, (N, F).

    It is the mean over frames, weighted by power, of s³, where s is the share in the squared powers of all spots.
    """
    dominance_NF = np.empty((len(own), len(X_FTM)))

    def work(part: int) -> None:
        rows = slice(part * ROWS, (part + 1) * ROWS)
        power_FTN = np.abs(X_FTM[rows][..., own]).astype(np.float64) ** 2
        share_FTN = power_FTN**2 / np.maximum((power_FTN**2).sum(axis=2, keepdims=True), np.finfo(float).tiny)
        sum_FN = np.maximum(power_FTN.sum(axis=1), np.finfo(float).tiny)
        dominance_NF[:, rows] = ((power_FTN * share_FTN**3).sum(axis=1) / sum_FN).T

    share_out(work, -(-len(X_FTM) // ROWS))
    return np.clip(dominance_NF, 0, 1)


def _part_of_solos(weight_NF: Array, n_frames: int) -> Array:
    """Return how far on the way from a fitted covariance to that of a solo of so many frames to start."""
    finite_NF = np.minimum(weight_NF, 1e30)
    return np.asarray(finite_NF / (finite_NF + PULLED_TO_SOLOS * n_frames))


def _held_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the covariances that are known, or draw them to those; start W and H from what their filters let through.

    Where somebody has shifted a chair in the middle of a take, what is learned from all of it fits neither seat.
    """
    if evidence.room is not None:
        learned = evidence.room
    else:
        assert evidence.solo is not None  # or nothing would hold
        learned = priors.likely_covariances(*evidence.solo, evidence.spots)
    start = evidence.start(priors.unmixing(learned).Q, n_components, rng)
    held = Prior(W=start.W, H=start.H, R=learned.R, spots=evidence.spots).hold("R")
    if evidence.room is not None and not evidence.room_settled:
        R_NFMM = np.asarray(learned.R)
        return replace(held.release("R"), anchor=Anchor(R_NFMM, np.full(R_NFMM.shape[:2], PULLED_TO_ROOM)))
    if evidence.room is not None:
        return held  # what follows would gain nothing by more updates
    model = FullRankMNMF(n_components, HELD_UPDATES, divergence="log-det")
    model.fit(evidence.X_FTM, held, missing_TM=evidence.missing_TM, rng=rng)
    return held | Prior(W=model.W_, H=model.H_)


def _sharing_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the covariances of the solos, where two sources share a spot; nothing else tells them apart but their notes.

    So W and H start from bases of the solos.  Those who have a spot to themselves start from what it hears best, as
    they do without the others.
    """
    assert evidence.solo is not None
    X_FTM, spots, (F, T, _) = evidence.X_FTM, evidence.spots, evidence.X_FTM.shape
    learned = priors.likely_covariances(*evidence.solo, spots)
    bases = evidence.bases(NOTES * n_components, rng, exponent=2.0)
    notes = (bases | Prior(R=learned.R, spots=spots)).hold("R", "W")
    model = FullRankMNMF(n_components, NOTE_UPDATES, divergence="log-det").fit(X_FTM, notes, rng=rng)
    W_NFK, H_NKT = model.W_.copy(), model.H_.copy()
    mics = list(dict.fromkeys(spots.references))
    if len(mics) > 1:
        R_NFMM = np.asarray(learned.R)
        heard = [np.sum([R_NFMM[n] for n, m in enumerate(spots.references) if m == mic], axis=0) for mic in mics]
        apart = replace(evidence, spots=mics, solo=None, estimates=None)
        width = min(n_components, W_NFK.shape[2])
        start = apart.start(priors.unmixing(Prior(R=np.array(heard), spots=mics)).Q, width, rng)
        for n, mic in enumerate(spots.references):
            if spots.references.count(mic) == 1:
                W_NFK[n], H_NKT[n] = np.zeros((F, W_NFK.shape[2])), np.zeros((H_NKT.shape[1], T))
                W_NFK[n, :, :width] = np.asarray(start.W)[mics.index(mic)]
                H_NKT[n, :width] = np.asarray(start.H)[mics.index(mic)]
    held = Prior(W=W_NFK, H=H_NKT, R=learned.R, spots=spots).hold("R")
    model = FullRankMNMF(n_components, HELD_UPDATES, divergence="log-det").fit(X_FTM, held, rng=rng)
    return held | Prior(W=model.W_, H=model.H_)


def _joined(bands: Sequence[Prior]) -> Prior:
    """Return one prior of the full-rank model for all frequencies; each band keeps bases of its own."""
    if len(bands) == 1:
        return bands[0]
    W_BNFK, R_BNFMM = [np.asarray(band.W) for band in bands], [np.asarray(band.R) for band in bands]
    bins, bases = (np.cumsum([0, *[W_NFK.shape[axis] for W_NFK in W_BNFK]]) for axis in (1, 2))
    W_NFK = np.zeros((len(W_BNFK[0]), bins[-1], bases[-1]))
    for part_NFK, f, k in zip(W_BNFK, pairwise(bins), pairwise(bases)):
        W_NFK[:, slice(*f), slice(*k)] = part_NFK
    H_NKT, R_NFMM = np.concatenate([np.asarray(band.H) for band in bands], axis=1), np.concatenate(R_BNFMM, axis=1)
    if not any(band.anchor for band in bands):
        return replace(bands[0], W=W_NFK, H=H_NKT, R=R_NFMM)
    anchors = [band.anchor or Anchor(R, np.zeros(R.shape[:2])) for band, R in zip(bands, R_BNFMM)]
    anchor_NFMM = R_NFMM
    if any(each.R is not R for each, R in zip(anchors, R_BNFMM)):
        anchor_NFMM = np.concatenate([each.R for each in anchors], axis=1)
    anchor = Anchor(anchor_NFMM, np.concatenate([each.weight for each in anchors], axis=1))
    return replace(bands[0], W=W_NFK, H=H_NKT, R=R_NFMM, anchor=anchor)


def _between(R_NFMM: Array, other_NFMM: Array, part_NF: Array) -> Array:
    """Return covariances so far on the way to others."""
    part_NF11 = part_NF[..., None, None]
    return np.asarray((1 - part_NF11) * R_NFMM + part_NF11 * other_NFMM)


def _of_trace_1(R_NFMM: Array) -> Array:
    trace_NF = np.einsum("...mm->...", R_NFMM).real
    return np.asarray(R_NFMM / np.maximum(trace_NF, np.finfo(float).tiny)[..., None, None])
