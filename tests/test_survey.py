"""What is found out about solos: what is no solo, what has changed since, and who has moved."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import fftconvolve, resample_poly

from mnmf import METHODS, Take, data, separate
from mnmf.methods import Evidence
from mnmf.pairs import Edge, per_mic
from mnmf.stft import STFT
from mnmf.survey import BANDS, EARLIEST, RINGS_ON, Survey, _middle, _misfits, _ringing_on, _View, play_together, survey
from mnmf.take import Levels

RATE = 11025
SECONDS = 6
NAMES = ("violin 1", "violin 2", "viola", "cello")


def responses(seed):
    """Impulse responses (L, M, N): direct sound and a decaying tail, loudest from a player to the own microphone."""
    rng = np.random.default_rng(seed)
    tail_L = np.exp(-np.arange(1200) / 250)[:, None, None]
    h_LMN = 0.03 * tail_L * rng.standard_normal((1200, 4, 4))
    for m in range(4):
        for n in range(4):
            h_LMN[3 if m == n else int(rng.integers(20, 60)), m, n] += 1.0 if m == n else 0.3
    return h_LMN


def heard(h_LMN, dry_LN):
    images = [fftconvolve(dry_LN[:, [n]], h_LMN[:, :, n], axes=0)[: len(dry_LN)] for n in range(4)]
    return np.stack(images, axis=2)


@pytest.fixture(scope="module")
def dry():
    quartet = data.quartet()
    return [resample_poly(x, 1, 4, axis=0)[: SECONDS * RATE] for x in (quartet.stems_LN, quartet.solos_LN)]


def take_of(dry, seated=0, before=0):
    stems_LN, solos_LN = dry
    x_LM = heard(responses(seated), stems_LN).sum(axis=2)
    alone_LMN = heard(responses(before), solos_LN)
    solos = [[alone_LMN[:, :, n].astype(np.float32)] for n in range(4)]
    return Take(x_LM.astype(np.float32), RATE, (0, 1, 2, 3), NAMES, solos=solos)


@pytest.fixture(scope="module")
def take(dry):
    return take_of(dry)


def look(take):
    return survey(take, Levels.of(take, 20.0))


@pytest.fixture(scope="module")
def whole(take):
    return look(take)


def changed(take, change):
    """Return the take with something done to the solos (L, M), so that the opposite happened since."""
    return replace(take, solos=[[change(x_LM.copy()) for x_LM in passages] for passages in take.solos])


def same(solos, others):
    """Return how far solos are apart, relative to the others, over what both have."""
    pairs = [(a[0], b[0]) for a, b in zip(solos, others)]
    assert all(abs(len(a) - len(b)) < 0.03 * RATE for a, b in pairs)
    return max(np.sqrt(np.mean((a[: len(b)] - b[: len(a)]) ** 2) / np.mean(b**2)) for a, b in pairs)


def test_solos_that_hold(take, whole):
    assert whole.holds
    assert whole.remarks == ()
    assert np.all(whole.misfit_NB < 0.3)
    assert same(whole.take.solos, take.solos) < 0.1  # gains are learned, to a fraction of a decibel
    assert abs(whole.shortest - SECONDS) < 1e-3


def test_polarity_is_undone(take):
    found = look(changed(take, lambda x_LM: x_LM * [1, 1, -1, 1]))
    assert any("mic 3" in remark and "polarity" in remark for remark in found.remarks)
    assert len(found.remarks) == 1
    assert found.holds
    assert same(found.take.solos, take.solos) < 0.1


@pytest.mark.parametrize("ms", [20, -5])
def test_a_late_microphone_is_undone(take, ms):
    late = round(ms / 1000 * RATE)
    x_LM = take.x_LM.copy()
    x_LM[:, 1] = np.roll(x_LM[:, 1], late)
    found = look(replace(take, x_LM=x_LM))
    word = "later" if ms > 0 else "earlier"
    assert [r for r in found.remarks if "mic 2" in r and f"{abs(late) / RATE * 1000:.1f} ms {word}" in r]
    assert len(found.remarks) == 1
    assert found.holds


def test_a_changed_gain_is_undone(take):
    found = look(changed(take, lambda x_LM: x_LM * [1, 1, 1, 0.25]))
    (remark,) = found.remarks
    assert "mic 4" in remark
    assert "gain changed by +1" in remark
    assert found.holds
    assert same(found.take.solos, take.solos) < 0.2


def test_exchanged_solos_are_taken_for_each_other(take, whole):
    solos = [take.solos[n] for n in (1, 0, 2, 3)]
    found = look(replace(take, solos=solos))
    assert found.remarks[0].startswith("violin 1, violin 2: their solos are exchanged")
    np.testing.assert_allclose(found.misfit_NB, whole.misfit_NB)


def test_what_is_no_solo_is_left_out(take):
    """Markers two seconds late: the end of each passage is the beginning of the next one's."""
    solos = [take.solos[n][0] for n in range(4)]
    both = [np.concatenate([solos[n], solos[(n + 1) % 4]])[2 * RATE : (SECONDS + 2) * RATE] for n in range(4)]
    found = look(replace(take, solos=[[x_LM] for x_LM in both]))
    assert sum("left out" in remark for remark in found.remarks) == 4
    for n in range(4):
        (kept,) = found.take.solos[n]
        assert 3.0 < len(kept) / RATE < 4.6
    assert np.all(found.misfit_NB[:, 1:4].mean(axis=1) < 0.5)


def test_players_who_moved(dry, whole):
    moved = look(take_of(dry, before=1))
    assert not moved.holds
    assert all(any(remark.startswith(name) for remark in moved.remarks) for name in NAMES)
    weight_NF = moved.seconds([300.0, 1000.0])
    assert np.all(weight_NF < 0.3 * whole.seconds([300.0, 1000.0]))


def test_a_player_who_moves_during_the_take(dry, take):
    """Twice the music; from the middle on the first player sits elsewhere."""
    stems_LN = np.tile(dry[0], (2, 1))
    x_LM = np.tile(take.x_LM, (2, 1))
    assert not any("during" in remark for remark in look(replace(take, x_LM=x_LM)).remarks)
    apart_LM = heard(responses(1), stems_LN)[:, :, 0] - heard(responses(0), stems_LN)[:, :, 0]
    x_LM[len(x_LM) // 2 :] += apart_LM[len(x_LM) // 2 :].astype(np.float32)
    found = look(replace(take, x_LM=x_LM))
    assert not found.holds
    assert any("violin 1: moved during the take" in remark for remark in found.remarks)
    assert not found.take.solos[0]


@pytest.mark.parametrize(("n_mics", "moved"), [(4, True), (12, False)])
def test_halves_of_few_frames_for_many_microphones_do_not_tell(monkeypatch, n_mics, moved):
    window = STFT(512, 128)
    x_LM = np.random.default_rng(0).standard_normal((46 * window.hop, n_mics)).astype(np.float32)
    noise = Take(x_LM, 8000, range(n_mics), solos=[[x_LM]] * n_mics)
    view = replace(_View.of(noise, Levels.of(noise, 20.0), window), ringing=[[x_LM]] * n_mics)

    def misfit(_, __, X_FTM):  # the first player seems to have sat elsewhere in a half of the take
        misfit_NB = np.full((n_mics, len(BANDS) - 1), 0.1)
        misfit_NB[0] = (
            n_mics if X_FTM.shape[1] < view.X_FTM.shape[1] and np.array_equal(X_FTM[:, 0], view.X_FTM[:, 0]) else 0.1
        )
        return misfit_NB, misfit_NB, np.ones(n_mics)

    monkeypatch.setattr("mnmf.survey._misfit", misfit)
    remarks = []
    misfit_NB, _, _ = _misfits(view, remarks)
    assert np.isinf(misfit_NB).all() == moved
    assert bool(remarks) == moved


def test_a_player_without_a_solo(take):
    found = look(replace(take, solos=[*take.solos[:3], []]))
    assert not found.holds
    assert np.isfinite(found.misfit_NB).all(axis=1).tolist() == [True, True, True, False]
    assert found.seconds([500.0])[:, 0].tolist() == [np.inf, np.inf, np.inf, 0]  # the others are held


def test_who_never_plays_does_not_keep_the_others_from_being_held(dry):
    stems_LN = dry[0].copy()
    stems_LN[:, 3] = 0.0
    take = take_of((stems_LN, dry[1]))
    take = take.with_solos([*take.solos[:2], take.solos[3], take.solos[2]])
    found = survey(take, Levels.of(take, 20.0), silent=[3])
    assert found.take.sources == NAMES[:3]
    assert len(found.remarks) == 1
    assert found.remarks[0].startswith("viola, cello: their solos are exchanged")
    assert found.long_windows
    assert np.square(found.take.solos[2][0]).sum(axis=0).argmax() == 2


def test_in_turns_windows_stay_short(dry, whole):
    assert whole.together > 0.7
    assert whole.long_windows
    stems_LN = dry[0].copy()
    for n in range(4):  # two seconds each, and the cello has none
        stems_LN[np.arange(SECONDS * RATE) // (2 * RATE) != n, n] = 0.0
    turns = take_of((stems_LN, dry[1]))
    assert survey(turns, Levels.of(turns, 20.0), silent=[3]).together < 0.3
    assert replace(whole, together=0.2).holds
    assert not replace(whole, together=0.2).long_windows
    assert np.isnan(survey(turns.with_solos([[]] * 4), Levels.of(turns, 20.0)).together)
    assert play_together(turns.without([3]), Levels.of(turns, 20.0)) < 0.3  # without solos
    assert play_together(whole.take, Levels.of(whole.take, 20.0)) > 0.7


def test_one_player_plays_with_all(take):
    alone = look(Take(take.x_LM, RATE, (0,), NAMES[:1], solos=take.solos[:1]))
    assert alone.together == 1.0


def claps(rng, seconds=3.0):
    x_LM = np.zeros((round(seconds * 1000), 2))
    for at in (300, 1100, 1900):
        x_LM[at : at + 500] += rng.standard_normal((500, 2)) * np.exp(-np.arange(500) / 30)[:, None]
    return np.diff(x_LM, axis=0, prepend=0.0)  # sound has no offset


def test_claps_go_on_in_silence():
    rng = np.random.default_rng(0)
    note_LM = np.zeros((3000, 2))
    note_LM[300:2400] = rng.standard_normal((2100, 2))

    def found(x_LM):
        take = Take(np.ones((8000, 2)), 1000, sources=["a", "b"], solos=[[x_LM], [x_LM]])
        return Survey(take, np.full((2, len(BANDS) - 1), 0.1), 0.1)

    assert found(claps(rng)).shortest == 12.0
    assert found(note_LM).shortest == 3.0
    assert found(claps(rng)[:2700]).shortest == 10.8
    assert found(claps(rng)[300:]).shortest == 2.7  # nor does it begin before the clap
    assert found(claps(rng)[:1950]).shortest == 1.95  # cut in the middle of a clap
    for offset in (0.0, 0.2):
        ready = found(claps(rng) + offset)
        assert [len(x) for x in ready.lasting(1400).solos[0]] == [3000]  # two windows fit
        (long_LM,) = ready.lasting(2000).solos[0]
        assert len(long_LM) == 5000
        assert not np.any(long_LM[:1000])
        assert np.max(np.abs(long_LM[1000:1200])) < 0.02
    assert len(found(note_LM).lasting(2000).solos[0][0]) == 3000


def test_a_solo_of_somebody_else_altogether(take):
    noise_LM = np.random.default_rng(0).standard_normal((3 * RATE, 4)).astype(np.float32) * [0.01, 1.0, 0.01, 0.01]
    found = look(replace(take, solos=[[noise_LM], *take.solos[1:]]))
    assert not found.take.solos[0]
    assert "violin 1: the solo does not fit the take; ignored" in found.remarks


def test_nothing_to_look_at(take):
    for nothing in (replace(take, solos=[]), replace(take, x_LM=np.zeros_like(take.x_LM))):
        assert look(nothing).remarks == ()
        assert not look(nothing).holds
    low = Take(take.x_LM[:2000], 240, take.spots, NAMES, solos=[[x_LM[:2000] for x_LM in p] for p in take.solos])
    assert not look(low).holds  # hardly any frequency is left to look at
    clicks = [[x_LM[:500] for x_LM in passages] for passages in take.solos]  # 45 ms
    assert not look(replace(take, solos=clicks)).holds


def test_seconds_shrink_with_the_misfit():
    misfit_NB = np.tile([[0.05], [0.5], [np.inf]], (1, len(BANDS) - 1))
    found = Survey(Take(np.ones((800, 3)), 8000), misfit_NB, hop=0.2)
    seconds_N = found.seconds([1000.0])[:, 0]
    assert seconds_N[0] == pytest.approx(10 * seconds_N[1])
    assert seconds_N[2] == 0


def test_fragments_shorter_than_a_window_are_left_out_where_there_are_longer_ones(take):
    pieces = [np.ones((length, 4)) for length in (100, 900, 50)]
    found = Survey(replace(take, solos=[pieces, pieces[::2], [], pieces[:1]]), np.full((4, 5), 0.1), 0.1)
    assert [[len(x_LM) for x_LM in passages] for passages in found.lasting(500).solos] == [[900], [100], [], [100]]


def test_delays_of_pairs_give_those_of_microphones():
    """Pairs of microphones that agree but for one that is late and flipped, and a pair that is not clear."""
    said = [(0, 1, 0.9, 0, 1), (0, 2, 0.8, 220, -1), (2, 1, 0.7, -220, -1), (1, 2, 0.1, 17, 1)]
    edges = [Edge(*each) for each in said]
    delay_M, sign_M, level_M = per_mic(edges, 3, EARLIEST * RATE)
    assert delay_M.tolist() == [0, 0, 220]
    assert sign_M.tolist() == [1, 1, -1]
    assert np.allclose(level_M, 0)


def test_the_method_takes_the_longer_window_where_solos_hold(take):
    recipe = METHODS["mnmf"]
    assert recipe.fitting_window(True, 4.0) == recipe.longer_window > recipe.window
    assert recipe.fitting_window(True, 20.0) == 2 * recipe.longer_window
    assert recipe.fitting_window(True, 2.0) == recipe.fitting_window(False, 60.0) == recipe.window
    done = separate(take, method="mnmf", components=3, iterations=1)
    assert done.parameters["window_samples"] == pytest.approx(2 * recipe.longer_window * RATE, rel=0.02)
    assert done.remarks == ()


@pytest.mark.slow
def test_solos_beat_no_solos(dry, take):
    n_samples = 4 * RATE
    truth_LN = np.stack([heard(responses(0), dry[0])[:n_samples, n, n] for n in range(4)], axis=1)

    def error(done):
        return np.sum((done.stems_LN - truth_LN) ** 2) / np.sum(truth_LN**2)

    with_solos, without, apart = (
        separate(each.part(0, n_samples), method="mnmf", components=4, iterations=3)
        for each in (take, replace(take, solos=[]), _apart(dry))
    )
    assert error(with_solos) < 0.3 * error(without)
    assert error(apart) < 1.1 * error(without)


def _apart(dry):
    """Return a take whose solos were played elsewhere."""
    return take_of(dry, before=5)


def test_bands_of_evidence():
    X_FTM = np.arange(24.0).reshape(6, 2, 2) + 0j
    evidence = Evidence(X_FTM, (0, 1), solo=(X_FTM, [[slice(0, 1)], []]), frequencies=np.arange(6) * 100.0)
    low, high = evidence.bands(250.0)
    assert len(low.X_FTM) == len(high.X_FTM) == 3
    assert np.array_equal(np.concatenate([low.solo[0], high.solo[0]]), X_FTM)
    assert high.frequencies.tolist() == [300, 400, 500]
    assert len(evidence.bands(1e4)) == 1
    assert Evidence(X_FTM, (0, 1)).bands(250.0)[0].X_FTM is X_FTM


def test_noise_after_a_solo_is_left_out(take, whole):
    rng = np.random.default_rng(0)

    def noisy(x_LM):
        level = 0.1 * np.sqrt(np.mean(np.square(x_LM)))
        return np.concatenate([x_LM, level * rng.standard_normal((3 * RATE, 4))]).astype(np.float32)

    found = look(changed(take, noisy))
    assert found.holds
    for passages, before in zip(found.take.solos, take.solos):
        assert sum(map(len, passages)) < len(before[0]) + RATE
    assert np.all(found.misfit_NB < whole.misfit_NB + 0.1)


def test_what_rings_on_is_told_from_others():
    ours_T, others_T = np.zeros(14, bool), np.zeros(14, bool)
    ours_T[[1, 2, 8]] = True
    others_T[10] = True
    expected_T = np.zeros(14, bool)
    expected_T[1 : 3 + RINGS_ON] = expected_T[8 : 9 + RINGS_ON] = True
    expected_T[10] = False
    assert _ringing_on(ours_T, others_T).tolist() == expected_T.tolist()


def test_what_rings_on_serves_windows_for_which_the_rest_is_too_short():
    clear, ringing = [np.zeros((1000, 2)), np.zeros((300, 2))], [np.zeros((2500, 2))]
    take = Take(np.ones((8000, 2)), 1000, sources=["a", "b"], solos=[clear, clear])
    found = Survey(take, np.full((2, len(BANDS) - 1), 0.1), 0.1, (), [ringing, []])
    assert found.shortest == 1.0
    assert [len(x) for x in found.lasting(500).solos[0]] == [1000]
    assert [len(x) for x in found.lasting(200).solos[0]] == [1000, 300]
    assert [len(x) for x in found.lasting(600).solos[0]] == [2500]
    assert [len(x) for x in found.lasting(600).solos[1]] == [1000]


def test_loud_frequencies_decide():
    values, weights = np.array([5.0, -1.0, 0.5, 7.0, 6.0]), np.array([0.1, 1.0, 1.0, 0.1, 0.1])
    assert _middle(values, weights) == 0.5
    assert _middle(values, np.ones(5)) == 5.0
    assert _middle(values, np.zeros(5)) == 5.0


def test_a_mute_in_a_long_take_is_where_it_is(take, monkeypatch):
    monkeypatch.setattr("mnmf.survey.LONGEST", 3.0)  # so it begins 1.5 s after the take
    rng = np.random.default_rng(0)
    x_LM = 1e-3 * rng.standard_normal(take.x_LM.shape).astype(np.float32)
    x_LM[int(3.5 * RATE) : int(4.5 * RATE), 1] *= 1e3
    loudest = []
    for mute in (slice(0), slice(2 * RATE, 3 * RATE)):
        x_LM[mute, 1] = 0.0
        heard = replace(take, x_LM=x_LM.copy())
        levels = Levels.of(heard, 20.0)
        assert bool(levels.muted[1]) == bool(mute.stop)
        loudest.append(np.abs(_View.of(heard, levels).X_FTM[..., 1]).max())
    assert loudest[1] == pytest.approx(loudest[0], rel=0.2)


def test_a_take_too_short_to_leave_frames_out_is_looked_at(take, whole):
    short = replace(take, x_LM=take.x_LM[: RATE // 2])
    moved = changed(short, lambda x_LM: x_LM[:, [0, 2, 3, 1]] * np.float32([1.0, 0.5, 2.0, 1.0]))
    assert not look(moved).holds
