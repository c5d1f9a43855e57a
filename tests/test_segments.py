"""Long takes: a segment at a time, by covariances that several of them teach."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import resample_poly

from mnmf import METHODS, FastMNMF2, FullRankMNMF, Prior, Take, data, separate
from mnmf.errors import ArgumentError
from mnmf.methods import Evidence
from mnmf.models import PooledCovariances, PooledDemixing
from mnmf.segments import add_faded, chosen, segments_of
from mnmf.separation import _separate, _story
from mnmf.spots import Spots
from mnmf.stft import window_samples
from mnmf.survey import survey
from mnmf.take import Levels
from tests.test_survey import heard, responses

RATE = 2756
SIZES = {"components": 4, "iterations": 3, "window": 0.37}
SEGMENT = 4.0


@pytest.fixture(scope="module")
def images():
    """A quartet of 12 s: each source at each microphone, (L, M, N)."""
    stems_LN = resample_poly(data.quartet().stems_LN, 1, 16, axis=0)[: 12 * RATE]
    return heard(responses(0), stems_LN)


@pytest.fixture(scope="module")
def take(images):
    return Take(images.sum(axis=2).astype(np.float32), RATE)


@pytest.fixture(scope="module")
def done(take):
    return separate(take, segment=SEGMENT, **SIZES)


def error(stems_LN, images):
    truth_LN = np.stack([images[:, n, n] for n in range(4)], axis=1)
    return np.sum((stems_LN - truth_LN) ** 2) / np.sum(truth_LN**2)


@pytest.mark.parametrize(("n_samples", "length", "window"), [(1000, 100, 8), (999, 100, 70), (301, 200, 900)])
def test_faded_segments_add_up_to_the_whole(n_samples, length, window):
    spans = segments_of(n_samples, length, window)
    assert len(spans) > 1
    assert (spans[0][0], spans[-1][1]) == (0, n_samples)
    x_LI = np.random.default_rng(0).standard_normal((n_samples, 2))
    total_LI = np.zeros_like(x_LI)
    for k, (start, stop) in enumerate(spans):
        add_faded(total_LI, x_LI[start:stop], spans, k)
    np.testing.assert_allclose(total_LI, x_LI, rtol=1e-12)


def test_neighbours_share_windows_and_fade_in_the_middle_of_them():
    spans = segments_of(3000, 1000, 100)
    assert spans == [(0, 1100), (900, 2100), (1900, 3000)]
    total_LI = np.zeros((3000, 1))
    add_faded(total_LI, np.ones((1200, 1)), spans, 1)
    assert np.flatnonzero(total_LI[:, 0])[[0, -1]].tolist() == [950, 2049]
    assert np.flatnonzero(total_LI[:, 0] == 1)[[0, -1]].tolist() == [1050, 1949]


def test_segments_to_learn_from_are_those_in_which_somebody_stands_out_and_others():
    assert chosen(np.ones((5, 2)), 8) == [0, 1, 2, 3, 4]
    power_KN = np.ones((100, 3))
    power_KN[40, 1] = power_KN[90, 2] = 9.0
    power_KN[70] = 4.0  # a loud passage of all
    assert chosen(power_KN, 4) == [40, 50, 70, 90]
    assert len(chosen(np.eye(20), 8)) == 20  # everybody plays in one segment only


def fitted(R_NFMM, power):
    model = FullRankMNMF(1, 1, divergence="log-det")
    N, F = R_NFMM.shape[:2]
    model.W_, model.H_ = np.ones((N, F, 1)), np.full((N, 1, 7), power)
    model.R_ = R_NFMM
    return model


def test_pooled_covariances_are_weighted_by_amplitude():
    R_NFMM = np.tile(np.diag([1.5, 0.5]) + 0j, (2, 3, 1, 1))
    other_NFMM = np.tile(np.diag([0.5, 1.5]) + 0j, (2, 3, 1, 1))
    pooled = PooledCovariances()
    pooled.add(fitted(R_NFMM, 9.0))
    pooled.add(fitted(100 * other_NFMM, 0.01))  # the same as a power of 1
    np.testing.assert_allclose(pooled.mean(), 0.75 * R_NFMM + 0.25 * other_NFMM)


def test_who_rests_teaches_nothing_unless_everywhere():
    R_NFMM = np.tile(np.diag([1.5, 0.5]) + 0j, (2, 3, 1, 1))
    other_NFMM = np.tile(np.diag([0.5, 1.5]) + 0j, (2, 3, 1, 1))
    pooled = PooledCovariances()
    pooled.add(fitted(R_NFMM, np.array([[[1.0]], [[0.0]]])))
    pooled.add(fitted(other_NFMM, 0.0))
    np.testing.assert_allclose(pooled.mean()[0], R_NFMM[0])
    np.testing.assert_allclose(pooled.mean()[1], 0.5 * (R_NFMM + other_NFMM)[1])


def test_a_long_take_is_fitted_in_segments_that_share_a_room(done):
    assert len(done.parts) == 3
    assert done.parameters["segments"] == 3
    assert done.model is done.parts[0].model
    one_NFMM, other_NFMM = (done.parts[k].model.R_ for k in (0, 2))
    assert 0 < np.linalg.norm(one_NFMM - other_NFMM) < 0.5 * np.linalg.norm(one_NFMM)
    assert set(done.seconds) == {"read", "survey", "learn", "fit"}


def test_images_and_residual_sum_to_the_take(done, take):
    total_LM = done.residual_LM + sum(done.image(n) for n in range(4))
    np.testing.assert_allclose(total_LM, take.x_LM, atol=1e-6)
    assert np.std(done.residual_LM) < 0.03 * np.std(take.x_LM)  # rumble, where it is not at its own spot
    for n in range(4):
        np.testing.assert_array_equal(done.image(n, n), done.stems_LN[:, n])


def test_the_room_is_learned_from_all_segments(done, take, images):
    """Fitted on its own each segment is separated worse."""
    spans = [(part.start, part.stop) for part in done.parts]
    alone_LN = np.zeros_like(done.stems_LN)
    for k, span in enumerate(spans):
        add_faded(alone_LN, separate(take.part(*span), **SIZES).stems_LN, spans, k)
    assert error(done.stems_LN, images) < 0.9 * error(alone_LN, images)


def test_of_many_frames_some_teach_the_room_and_all_are_fitted(take, monkeypatch):
    """And segments are updated jointly, a take in one piece is not."""
    monkeypatch.setattr(_story, "ENOUGH", 10)
    fit, seen = FullRankMNMF.fit, []

    def watched(model, X_FTM, *rest, **options):
        seen.append((X_FTM.shape[1], model.jointly))
        return fit(model, X_FTM, *rest, **options)

    monkeypatch.setattr(FullRankMNMF, "fit", watched)
    done = separate(take, segment=SEGMENT, **SIZES | {"iterations": 1})
    frames = [part.model.H_.shape[2] for part in done.parts]
    assert seen == [(-(-T // 3), True) for T in frames] + [(T, True) for T in frames]
    seen.clear()
    separate(take.part(0, 4 * RATE), **SIZES | {"iterations": 1})
    assert not seen[-1][1]


def test_a_short_take_is_the_same_with_and_without_segments(take):
    short = take.part(0, 5 * RATE)
    one, other = (separate(short, segment=segment, **SIZES) for segment in (np.inf, SEGMENT))
    assert not other.parts
    assert "segments" not in other.parameters
    assert one.stems_LN.tobytes() == other.stems_LN.tobytes()


def test_a_segment_longer_than_any_take_is_the_whole(take):
    short = take.part(0, 2 * RATE)
    assert not separate(short, segment=1e305, **SIZES).parts


def test_two_runs_give_the_same_bytes(done, take):
    assert separate(take, segment=SEGMENT, **SIZES).stems_LN.tobytes() == done.stems_LN.tobytes()


@pytest.mark.parametrize(("together", "segment", "longer"), [(1.0, 4.0, 1), (0.2, 4.0, 0), (1.0, np.inf, 0)])
def test_long_takes_have_longer_windows_but_in_turns(take, monkeypatch, together, segment, longer):
    recipe = replace(METHODS["mnmf"], window=0.2, longer_window=0.25, components=2, iterations=1)
    monkeypatch.setattr(_separate, "play_together", lambda take, levels: together)
    done = separate(take, method=recipe, segment=segment)
    wanted = recipe.longer_window if longer else recipe.window
    assert done.analysis.window_length == window_samples(wanted, RATE)
    own = separate(take, method=recipe, segment=segment, window=0.3)
    assert own.analysis.window_length == window_samples(0.3, RATE)


def test_windows_are_no_longer_than_solos_allow_in_a_long_take(take):
    start, stop = 3 * RATE, 3 * RATE + round(0.55 * RATE)  # less than two of the longer windows
    solos_LN = resample_poly(data.quartet().solos_LN, 1, 16, axis=0)
    alone_LMN = heard(responses(0), solos_LN)[start:stop]
    known = take.with_solos([[alone_LMN[:, :, n].astype(np.float32)] for n in range(4)])
    recipe = replace(METHODS["mnmf"], window=0.2, longer_window=0.28, components=2, iterations=1)
    assert any(survey(known, Levels.of(known, recipe.lowest)).take.solos)
    done = separate(known, method=recipe, segment=SEGMENT)
    assert done.analysis.window_length == window_samples(recipe.window, RATE)
    alone = separate(take, method=recipe, segment=SEGMENT)
    assert alone.analysis.window_length == window_samples(recipe.longer_window, RATE)


def test_solos_that_hold_are_the_room(take, monkeypatch):
    solos_LN = resample_poly(data.quartet().solos_LN, 1, 16, axis=0)[: 6 * RATE]
    alone_LMN = heard(responses(0), solos_LN)
    known = take.with_solos([[alone_LMN[:, :, n].astype(np.float32)] for n in range(4)])
    monkeypatch.setattr(PooledCovariances, "add", None)  # nothing is to be learned from the segments
    done = separate(known, segment=5.0, **SIZES)
    assert len(done.parts) == 2
    assert done.parts[1].model.R_ is done.model.R_


def test_who_rests_for_a_segment_is_not_silent_for_good(images, take):
    quiet = images.copy()
    quiet[: 5 * RATE, :, 0] = 0.0
    done = separate(replace(take, x_LM=quiet.sum(axis=2).astype(np.float32)), segment=SEGMENT, **SIZES)
    assert not done.remarks
    assert np.std(done.stems_LN[: 4 * RATE, 0]) < 0.2 * np.std(done.stems_LN[6 * RATE :, 0])
    assert error(done.stems_LN, quiet) < 0.1


def test_a_mute_across_a_border_and_a_silent_segment(take):
    x_LM = take.x_LM[: 9 * RATE].copy()
    x_LM[RATE : 4 * RATE, 2] = 0.0
    x_LM[6 * RATE :] = 0.0
    done = separate(replace(take, x_LM=x_LM), segment=3.0, **SIZES)
    assert np.isfinite(done.stems_LN).all()
    assert len(done.parts) == 3
    assert not done.stems_LN[RATE : 4 * RATE, 2].any()
    assert np.abs(done.stems_LN[7 * RATE :]).max() < 1e-4
    total_LM = done.residual_LM + sum(done.image(n) for n in range(4))
    np.testing.assert_allclose(total_LM, x_LM, atol=1e-5)


def test_levels_of_a_part_are_those_of_the_whole(take):
    x_LM = take.x_LM.copy()
    x_LM[1000:3000, 1] = 0.0
    levels = Levels.of(replace(take, x_LM=x_LM))
    part = levels.part(2000, 9000)
    assert part.muted == ((), ((0, 1000),), (), ())
    assert part.gains_M is levels.gains_M
    assert levels.part(3000, 9000).muted == ((), (), (), ())


def test_estimates_are_cut_like_the_take(take, images, done):
    def estimator(x_LM, sample_rate):
        return {name: images[:, n, n] for n, name in enumerate(take.sources)}

    told = separate(take, segment=SEGMENT, estimator=estimator, **SIZES)
    assert told.parameters["trust"] == 1.0
    assert error(told.stems_LN, images) < 0.9 * error(done.stems_LN, images)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"segment": 0.5}, "segment must be a number of at least 1 s"),
        ({"segment": 0}, "segment must be a number"),
        ({"segment": float("nan")}, "segment must be a number"),
        ({"segment": 5.0, "method": "kamir"}, "kamir fits a take in one piece; leave segment out"),
    ],
)
def test_segments_that_are_refused(take, options, said):
    with pytest.raises(ArgumentError, match=said):
        separate(take, **options)


def test_who_never_plays_is_found_where_a_segment_can_tell():
    """The first segment is a rest of all, in which microphones have noise, and the last one too short to tell."""
    rng, rate = np.random.default_rng(0), 4000
    x_LM = rng.standard_normal((20 * rate, 2)) @ [[0.2, 1.0, 0.2], [0.1, 0.2, 1.0]]
    x_LM[: 8 * rate] = 1e-4 * rng.standard_normal((8 * rate, 3))
    take = Take(x_LM.astype(np.float32), rate)
    levels, analysis = Levels.of(take, 20.0), METHODS["mnmf"].analysis(rate, 0.2)
    rest, music, short = (0, 8 * rate), (8 * rate, 19 * rate), (19 * rate, 20 * rate)
    assert _story.never_playing(take, levels, analysis, [rest, music, short]) == [0]
    assert _story.never_playing(take, levels, analysis, [rest, short]) == []
    x_LM[10 * rate : 12 * rate, 0] += rng.standard_normal(2 * rate)
    plays = replace(take, x_LM=x_LM.astype(np.float32))
    assert _story.never_playing(plays, levels, analysis, [rest, music, short]) == []


def test_a_model_of_ones_own_is_fitted_in_one_piece(take):
    recipe = replace(
        METHODS["fastmnmf2"], model=lambda *sizes: FullRankMNMF(*sizes), prior=lambda *_: Prior(spots=range(4))
    )
    short = take.part(0, 2 * RATE)
    assert not separate(short, method=recipe, window=0.1, iterations=1, components=2).parts
    with pytest.raises(ArgumentError, match="fastmnmf2 fits a take in one piece; leave segment out"):
        separate(short, method=recipe, segment=SEGMENT)


def test_a_prior_must_hold_the_room(take):
    def loose(*known):
        return replace(METHODS["mnmf"].prior(*known).release("R"), anchor=None)

    with pytest.raises(ArgumentError, match="must hold Evidence.room"):
        separate(take, method=replace(METHODS["mnmf"], prior=loose), segment=SEGMENT, **SIZES)


def test_a_prior_without_solos_takes_the_room_as_it_is():
    """It is held, or drawn to where somebody may have moved meanwhile."""
    rng = np.random.default_rng(0)
    X_FTM = rng.standard_normal((6, 30, 2)) + 1j * rng.standard_normal((6, 30, 2))
    room = Prior(R=np.tile(np.diag([1.0, 0.2]) + 0j, (2, 6, 1, 1)), spots=(0, 1))
    evidence = Evidence(X_FTM, (0, 1), frequencies=np.arange(6) * 2000.0, room=room)
    prior = METHODS["mnmf"].prior(evidence, 3, rng)
    assert "R" in prior.held
    np.testing.assert_array_equal(prior.R, room.R)
    assert isinstance(prior, Prior)
    prior = METHODS["mnmf"].prior(replace(evidence, room_settled=False), 3, rng)
    assert not prior.held
    np.testing.assert_array_equal(prior.anchor.R, room.R)
    assert np.isfinite(prior.anchor.weight).all()


def test_fastmnmf2_learns_its_demixing_from_all_segments(take, images):
    how = {"method": "fastmnmf2", "segment": SEGMENT, "components": 4, "iterations": 15, "window": 0.37}
    done = separate(take, **how)
    assert len(done.parts) == 3
    assert done.parts[2].model.Q_ is done.model.Q_
    total_LM = done.residual_LM + sum(done.image(n) for n in range(4))
    np.testing.assert_allclose(total_LM, take.x_LM, atol=1e-6)
    spans = [(part.start, part.stop) for part in done.parts]
    alone_LN = np.zeros_like(done.stems_LN)
    for k, span in enumerate(spans):
        add_faded(alone_LN, separate(take.part(*span), **how).stems_LN, spans, k)
    assert error(done.stems_LN, images) < 0.95 * error(alone_LN, images)


def test_pooled_demixing_is_that_of_the_mean_mixing():
    """Columns count by the amplitude of their players, and neither scale nor order of microphones matters."""
    spots, mixing_PMM = Spots((1, 0)), np.array([[[0.2, 1.0], [1.0, 0.4]], [[0.6, 1.0], [1.0, 0.0]]])
    pooled = PooledDemixing(spots)
    for mixing_MM, level, power in zip(mixing_PMM, (1.0, 5.0), (9.0, 1 / 25)):  # amplitudes 3 and 1
        model = FastMNMF2(1, 1)
        model.W_, model.H_, model.G_ = np.ones((2, 3, 1)), np.full((2, 1, 7), power), np.eye(2)
        model.Q_ = np.tile(np.linalg.inv(mixing_MM * level) + 0j, (3, 1, 1))
        pooled.add(model)
    mean_MM = np.array([[0.3, 1.0], [1.0, 0.3]])
    np.testing.assert_allclose(pooled.mean(), np.tile(np.linalg.inv(mean_MM), (3, 1, 1)))


def test_pooled_demixing_that_cannot_be_inverted_demixes_nothing():
    pooled = PooledDemixing((1, 0), np.ones((3, 2, 2)) + 0j)
    np.testing.assert_array_equal(pooled.mean(), np.tile([[0, 1], [1, 0]], (3, 1, 1)))
