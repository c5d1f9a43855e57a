"""The recipes: one `Method` each."""

from __future__ import annotations

from functools import partial
from typing import Literal

from mnmf.methods import _starts as starts
from mnmf.methods._evidence import StartFrom
from mnmf.methods._method import METHODS, Method
from mnmf.methods._trusting import trusting_prior
from mnmf.models import KAMIR, FastMNMF2, FullRankMNMF, Linear, NTFPanning, Pairwise, TimeDomain

CABANAS_2023 = "Cabañas-Molero et al. 2023, Pre-trained spatial priors on multichannel NMF"
SAWADA_2013 = "Sawada et al. 2013, Multichannel extensions of NMF with complex-valued data"
SEKIGUCHI_2020 = "Sekiguchi et al. 2020, Fast multichannel NMF with directivity-aware covariances"
KITAMURA_2016 = "Kitamura et al. 2016, Determined blind source separation unifying IVA and NMF"
CARABIAS_2013 = "Carabias-Orti et al. 2013, Nonnegative signal factorization with learnt instrument models"
PRAETZLICH_2015 = "Prätzlich et al. 2015, Kernel additive modeling for interference reduction"
MARKOVICH_2009 = "Markovich et al. 2009, Multichannel eigenspace beamforming in a reverberant noisy environment"
KOKKINIS_2012 = "Kokkinis et al. 2012, A Wiener filter approach to microphone leakage reduction"
RAJESH_2023 = "Rajesh R 2023, Interference reduction in music source separation for live recordings"


def _fullrank(name: str, summary: str, prior: StartFrom, solos: Literal["needed", "unused"] = "needed") -> Method:
    return Method(
        name=name,
        summary=summary,
        citation=CABANAS_2023,
        model=FullRankMNMF,
        prior=prior,
        window=2048 / 44100,
        hops_per_window=2,
        components=64,
        iterations=50,
        solos=solos,
        bases=True,
        estimates=True,
    )


def _log_det(name: str, summary: str, *held: str, solos: Literal["needed", "unused"] = "needed") -> Method:
    return Method(
        name=name,
        summary=summary,
        citation=SAWADA_2013,
        model=partial(FullRankMNMF, divergence="log-det"),
        prior=starts.solo_prior(*held, covariances=solos == "needed", exponent=2.0, diffuse=0.1),
        window=8192 / 44100,
        components=64,
        iterations=25,
        solos=solos,
        bases=True,
        estimates=True,
    )


_RECIPES = (
    Method(
        name="mnmf",
        summary="full-rank MNMF; finds out how far the solos hold",
        citation=SAWADA_2013,
        model=partial(FullRankMNMF, divergence="log-det"),
        prior=trusting_prior,
        window=32768 / 44100,
        longer_window=65536 / 44100,
        components=24,
        iterations=10,
        lowest=20.0,
        solos="useful",
        estimates=True,
        floor=True,
        segments=True,
    ),
    Method(
        name="fastmnmf2",
        summary="FastMNMF2 from what each spot hears best",
        citation=SEKIGUCHI_2020,
        model=FastMNMF2,
        prior=starts.spot_prior,
        window=32768 / 44100,
        components=24,
        iterations=30,
        lowest=20.0,
        solos="useful",
        estimates=True,
        segments=True,
        iterations_in_room=15,
    ),
    Method(
        name="fastmnmf2-blind",
        summary="FastMNMF2 as published, from a circular start",
        citation=SEKIGUCHI_2020,
        model=FastMNMF2,
        prior=starts.circular_prior,
        window=1024 / 16000,
        components=16,
        iterations=100,
        assigned=True,
        shared=False,
    ),
    Method(
        name="ilrma",
        summary="ILRMA: one demixing filter a source",
        citation=KITAMURA_2016,
        model=FastMNMF2,
        prior=starts.ilrma_prior,
        window=4096 / 44100,
        components=4,
        iterations=100,
        assigned=True,
        n_mics="sources",
        shared=False,
    ),
    _fullrank("mnmf-fixh", "full-rank MNMF, covariances from solos, held", starts.solo_prior("R", "W")),
    _fullrank("mnmf-updth", "full-rank MNMF, covariances from solos, updated", starts.solo_prior("W")),
    _fullrank(
        "mnmf-blind",
        "full-rank MNMF, covariances from a random start",
        starts.solo_prior("W", covariances=False),
        solos="unused",
    ),
    Method(
        name="mnmf-is",
        summary="log-det MNMF from what fastmnmf2 makes of the take",
        citation=SAWADA_2013,
        model=partial(FullRankMNMF, divergence="log-det"),
        prior=starts.full_rank_prior,
        window=32768 / 44100,
        components=24,
        iterations=10,
        lowest=20.0,
        solos="useful",
        estimates=True,
    ),
    _log_det("mnmf-is-fixh", "log-det MNMF, covariances from solos, held", "R", "W"),
    _log_det("mnmf-is-updth", "log-det MNMF, covariances from solos, updated", "W"),
    _log_det("mnmf-is-blind", "log-det MNMF, covariances from a random start", "W", solos="unused"),
    Method(
        name="ntf-panning",
        summary="NTF of magnitudes, panning from solos, held",
        citation=CARABIAS_2013,
        model=lambda n_components, n_iterations: NTFPanning(n_components, n_iterations, beta=1.0),
        prior=starts.panning_prior,
        window=16384 / 44100,
        components=24,
        iterations=5,
        solos="needed",
        estimates=True,
        with_dictionary="ntf-panning-notes",
    ),
    Method(
        name="ntf-panning-notes",
        summary="NTF of magnitudes, bases from notes or solos",
        citation=CARABIAS_2013,
        model=NTFPanning,
        prior=starts.held_panning_prior,
        window=4096 / 44100,
        components=64,
        iterations=50,
        solos="needed",
        bases=True,
    ),
    Method(
        name="ntf-panning-blind",
        summary="NTF of magnitudes, panning from a random start",
        citation=CARABIAS_2013,
        model=NTFPanning,
        prior=starts.blind_panning_prior,
        window=2048 / 44100,
        hops_per_window=2,
        components=64,
        iterations=50,
        bases=True,
        assigned=True,
        shared=False,
    ),
    Method(
        name="kamir",
        summary="kernel additive modelling: one gain a frequency",
        citation=PRAETZLICH_2015,
        model=lambda _, n_iterations: KAMIR(n_iterations),
        prior=starts.gains_prior,
        window=32768 / 44100,
        iterations=10,
        lowest=20.0,
        solos="useful",
        shared=False,
    ),
    Method(
        name="linear",
        summary="pseudo-inverse of the solos' transfer functions",
        citation=MARKOVICH_2009,
        model=lambda *_: Linear(),
        prior=starts.heard_prior,
        window=65536 / 44100,
        iterations=0,
        lowest=20.0,
        solos="needed",
        shared=False,
    ),
    Method(
        name="pairwise",
        summary="powers of the other spots subtracted",
        citation=KOKKINIS_2012,
        model=lambda *_: Pairwise(),
        prior=starts.heard_prior,
        window=32768 / 44100,
        iterations=0,
        lowest=20.0,
        solos="needed",
        shared=False,
    ),
    Method(
        name="time-domain",
        summary="instantaneous unmixing by gains; not for rooms",
        citation=RAJESH_2023,
        model=lambda _, n_iterations: TimeDomain(n_iterations),
        prior=starts.mixing_prior,
        iterations=200,
        solos="useful",
        shared=False,
    ),
)
METHODS |= {method.name: method for method in _RECIPES}
DEFAULT_METHOD = "mnmf"
