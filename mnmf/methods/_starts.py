"""What the methods start from: functions that make a prior of the evidence.

That of the default method is in `_trusting`.
"""

from __future__ import annotations

import numpy as np

from mnmf import priors
from mnmf.errors import SessionError
from mnmf.kernels.scm import weighted_covariances
from mnmf.methods._evidence import Evidence, StartFrom
from mnmf.models import FastMNMF2, changed_gains, match_gains
from mnmf.priors import Prior

FIRST_UPDATES = 30  # of FastMNMF2, as its own method has
OF_SOLOS = 0.9  # of the covariances that the full-rank model starts from, where there are solos


def spot_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Start from what each spot hears best, demixed as solos or the room teach; where a spot is shared from bases."""
    if evidence.spots.shared:
        return evidence.bases(n_components, rng, exponent=2.0).hold("W")
    if evidence.room is not None and evidence.room.Q is not None and evidence.room_helps:
        start = evidence.start(evidence.room.Q, n_components, rng)
        return start.hold("Q") if evidence.knows_room else start
    Q = None
    if evidence.solo is not None:
        Q = match_gains(evidence.X_FTM, priors.solo(*evidence.solo, evidence.spots)).Q
    return evidence.start(Q, n_components, rng)


def full_rank_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Start from what FastMNMF2 makes of the take, its covariances mixed with those of the solos.

    The solos' covariances are better if nobody has moved; a small share of the fitted ones lets the updates recover if
    somebody has.
    """
    solo, spots = evidence.solo, evidence.spots
    if spots.shared:
        held = spot_prior(evidence, n_components, rng)
        return FastMNMF2(n_components, FIRST_UPDATES).fit(evidence.X_FTM, held, rng=rng).as_full_rank().hold("W")
    Q, gains_M = None, np.ones(evidence.X_FTM.shape[2])
    if solo is not None:
        gains_M = changed_gains(evidence.X_FTM, priors.solo(*solo, spots))
        Q = priors.solo(solo[0] * gains_M.astype(solo[0].real.dtype), solo[1], spots).Q
    start = evidence.start(Q, n_components, rng)
    model = FastMNMF2(n_components, FIRST_UPDATES).fit(evidence.X_FTM, start, rng=rng)
    prior = model.as_full_rank()
    if solo is None:
        return prior
    gains_M = (gains_M * model.gains_).astype(solo[0].real.dtype)
    learned = priors.solo_covariances(solo[0] * gains_M, solo[1], spots, exponent=2.0)
    R_NFMM, learned_NFMM = np.array(prior.R), np.array(learned.R)
    for n, passages in enumerate(solo[1]):
        if passages:
            R_NFMM[n] = (1 - OF_SOLOS) * R_NFMM[n] + OF_SOLOS * learned_NFMM[n]
    return prior | Prior(R=R_NFMM)


def panning_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the panning of the solos; start from what each spot hears best, or hold bases where a spot is shared."""
    if evidence.spots.shared:
        return held_panning_prior(evidence, n_components, rng)
    return _solo_panning(evidence) | evidence.start(None, n_components, rng, exponent=1.0, beta=1.0)


def held_panning_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the panning of the solos, and the bases."""
    return _solo_panning(evidence) | evidence.bases(n_components, rng).hold("W")


def _solo_panning(evidence: Evidence) -> Prior:
    if evidence.solo is None:
        raise SessionError("this method needs a solo of every source; label them with --solos")
    return priors.solo_panning(*evidence.solo, evidence.spots).hold("G")


def blind_panning_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the bases; which source belongs to which spot shows in the fit."""
    return evidence.bases(n_components, rng).hold("W")


def gains_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold how the solos reach the mics; without them start from where each spot hears hardly anyone else."""
    heard = priors.spot_panning(evidence.X_FTM, evidence.spots)
    if evidence.solo is None:
        return heard
    learned = priors.solo_covariances(*evidence.solo, evidence.spots)
    R_NFMM, G_NM = np.array(learned.R), np.array(heard.G)
    for n, passages in enumerate(evidence.solo[1]):
        if not passages:  # nothing is known of this one's bleed, which does not mean that it has none
            R_NFMM[n] = np.diag(G_NM[n])
    return (learned | Prior(R=R_NFMM)).hold("R")


def heard_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Give the covariances of the solos, in which loud frames count more, as they have less of anything else."""
    if evidence.solo is None:
        raise SessionError("this method needs a solo of every source; label them with --solos")
    X_FTM, passages = evidence.solo
    F, _, M = X_FTM.shape
    R_NFMM = np.zeros((len(passages), F, M, M), np.complex128)
    for n, own in enumerate(evidence.spots.references):
        for frames in passages[n]:
            alone_FTM = np.ascontiguousarray(X_FTM[:, frames])
            R_NFMM[n] += weighted_covariances(alone_FTM, np.ones(alone_FTM.shape[:2]))
        energy_F = R_NFMM[n, :, own, own].real
        silent_F = energy_F <= np.finfo(np.float64).tiny
        R_NFMM[n, silent_F] = np.diag(np.arange(M) == own)
        R_NFMM[n] /= np.where(silent_F, 1.0, energy_F)[:, None, None]
    return Prior(R=R_NFMM, spots=evidence.spots)


def mixing_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold the gains by which the solos are mixed into the mics, if there are any."""
    if evidence.solo is None:
        return Prior(spots=evidence.spots)
    return priors.solo_mixing(*evidence.solo, evidence.spots).hold("G")


def circular_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Start as published, from nothing that is known of the players."""
    return priors.circular(evidence.X_FTM, len(evidence.spots), n_components, rng=rng)


def ilrma_prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
    """Hold G at the identity: then every row of Q is one source, and FastMNMF2 is ILRMA."""
    return circular_prior(evidence, n_components, rng) | Prior(G=np.eye(len(evidence.spots))).hold("G")


def solo_prior(*held: str, covariances: bool = True, exponent: float = 1.0, diffuse: float = 1.0) -> StartFrom:
    def prior(evidence: Evidence, n_components: int, rng: np.random.Generator) -> Prior:
        bases = evidence.with_activations(evidence.bases(n_components, rng, exponent), exponent)
        if not covariances:
            return bases.hold(*held)
        if evidence.solo is None:
            raise SessionError("this method needs a solo of every source; label them with --solos")
        learned = priors.solo_covariances(*evidence.solo, evidence.spots, exponent=exponent, diffuse=diffuse)
        return (learned | bases).hold(*held)

    return prior
