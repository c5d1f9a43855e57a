"""Priors: joining, holding, and what solo passages teach."""

import numpy as np
import pytest

from mnmf import Prior, priors
from mnmf.errors import ArgumentError
from mnmf.kernels.beta import beta_divergence
from mnmf.priors._nmf import nmf
from mnmf.priors._spot import demixing_start, dominated
from mnmf.spots import Spots
from tests.reference import fullrank as naive


def test_the_right_one_wins_and_brings_its_hold():
    a = Prior(W=np.zeros(2), H=np.zeros(3)).hold("W")
    b = Prior(W=np.ones(2), R=np.ones(1)).hold("R")
    joined = a | b
    assert joined.W is b.W
    assert joined.H is a.H
    assert joined.R is b.R
    assert joined.held == {"R"}
    assert (b | a).held == {"W", "R"}
    assert (a | Prior().hold("H")).held == {"W", "H"}
    assert a.hold("H").release("W").held == {"H"}
    assert a.held == {"W"}


def test_the_last_call_decides_whether_a_value_is_held_pulled_or_neither():
    a = Prior(Q=np.zeros(2), W=np.ones(2)).hold("W")
    assert a.pulled == frozenset()
    pulled = a.pull("Q")
    assert (pulled.held, pulled.pulled) == ({"W"}, {"Q"})
    assert (pulled.Q is a.Q, a.pulled) == (True, frozenset())  # a new prior, the same values
    assert (pulled.hold("Q").held, pulled.hold("Q").pulled) == ({"W", "Q"}, frozenset())
    assert (pulled.pull("W").held, pulled.pull("W").pulled) == (frozenset(), {"W", "Q"})
    assert (pulled.release("Q").held, pulled.release("Q").pulled) == ({"W"}, frozenset())
    assert (pulled.release("Q", "W").held, pulled.release("W").pulled) == (frozenset(), {"Q"})
    assert Prior(pulled="Q").pulled == Prior(pulled={"Q"}).pulled == {"Q"}


def test_the_right_one_of_two_priors_decides_whether_its_value_is_pulled():
    left = Prior(Q=np.zeros(2), W=np.ones(2)).pull("Q")
    assert (left | Prior(W=np.zeros(2))).pulled == {"Q"}
    assert (Prior(W=np.zeros(2)) | left).pulled == {"Q"}
    assert (left | Prior(Q=np.ones(2))).pulled == frozenset()
    assert (Prior(Q=np.ones(2)) | left).pulled == {"Q"}
    held = left | Prior(Q=np.ones(2)).hold("Q")
    assert (held.held, held.pulled) == ({"Q"}, frozenset())
    # A right one that holds or pulls without giving a value means the value of the left one.
    held = left | Prior().hold("Q")
    assert (held.held, held.pulled, held.Q is left.Q) == ({"Q"}, frozenset(), True)
    pulled = left.hold("Q") | Prior().pull("Q")
    assert (pulled.held, pulled.pulled, pulled.Q is left.Q) == (frozenset(), {"Q"}, True)


def test_spots_and_solos_give_a_q_to_be_pulled(X_FTM):
    assert priors.spot(X_FTM, (0, 1, 2), n_components=2).pulled == {"Q"}
    solo = priors.solo(X_FTM, [slice(0, 3), slice(3, 6), slice(6, 11)], (0, 1, 2))
    assert solo.pulled == {"Q"}
    assert priors.spot(X_FTM, (0, 1, 2), solo.Q, 2).pulled == {"Q"}
    assert priors.circular(X_FTM, 3, 2).pulled == frozenset()


def test_number_of_sources():
    assert Prior().n_sources is None
    assert Prior(W=np.zeros((3, 1, 1))).n_sources == 3
    assert Prior(spots=(1, (0, 2))).n_sources == 2


def test_what_a_prior_refuses():
    with pytest.raises(ArgumentError, match="it has no 'X'"):
        Prior().hold("X")
    with pytest.raises(ArgumentError, match="it has no 'X'"):
        Prior().pull("X")
    with pytest.raises(ArgumentError, match="cannot both hold and pull Q"):
        Prior(held={"Q"}, pulled={"Q", "W"})
    with pytest.raises(ArgumentError, match="source 1 needs one microphone number"):
        Prior(spots=(0, ()))
    with pytest.raises(ArgumentError, match="source 0 needs one microphone number"):
        Prior(spots=(-1,))


def test_closed_form_is_the_fixed_point_of_eq_8(X_FTM):
    prior = priors.solo_covariances(X_FTM, [slice(0, 11)], [1])
    for f in range(len(X_FTM)):
        np.testing.assert_allclose(prior.R[0, f], naive.solo_covariance(X_FTM[f], 1), rtol=1e-6, atol=1e-9)
    assert prior.spots == ((1,),)


def test_covariances_show_how_a_player_reaches_the_mics(rng):
    h_FM = rng.standard_normal((6, 3)) + 1j * rng.standard_normal((6, 3))
    s_FT = rng.standard_normal((6, 20)) + 1j * rng.standard_normal((6, 20))
    X = h_FM[:, None] * s_FT[..., None]
    R = priors.solo_covariances(X, [slice(None)], [2]).R[0]
    relative = h_FM / h_FM[:, 2:]
    np.testing.assert_allclose(np.einsum("fmm->fm", R).real, np.abs(relative), rtol=1e-9)
    np.testing.assert_allclose(np.angle(R[:, :, 2]), np.angle(relative), atol=1e-9)
    np.testing.assert_array_equal(R, R.conj().swapaxes(-1, -2))
    assert np.linalg.eigvalsh(R).min() > -1e-9


def test_a_source_without_a_solo_is_known_at_its_own_spot_only(X_FTM):
    silent = np.concatenate([X_FTM, np.zeros_like(X_FTM[:, :1])], axis=1)
    alone = [slice(0, 6), slice(6, 11)]
    for learn, name in ((priors.solo, "Q"), (priors.solo_covariances, "R"), (priors.solo_panning, "G")):
        without, with_silence = (
            getattr(learn(silent, [*alone, last], [1, 0, 2]), name) for last in ([], [slice(11, 12)])
        )
        np.testing.assert_array_equal(without, with_silence)
        assert not np.allclose(without, getattr(learn(silent, [*alone, slice(0, 11)], [1, 0, 2]), name))
    with pytest.raises(ArgumentError, match="source 2 has no frame to learn bases from"):
        priors.solo_bases(silent, [*alone, []], [1, 0, 2])


def test_covariances_of_powers_are_the_least_squares_fit(rng, X_FTM):
    R = priors.solo_covariances(X_FTM, [slice(None)], [1], exponent=2.0).R[0]
    np.testing.assert_allclose(R[:, 1, 1], 1)
    a_FT = np.abs(X_FTM[..., 1]) ** 2
    misfit = np.einsum("fti,ftj->ftij", X_FTM, X_FTM.conj()) - a_FT[..., None, None] * R[:, None]
    np.testing.assert_allclose(np.einsum("ft,ftij->fij", a_FT, misfit), 0, atol=1e-9)  # nothing of R is left in it
    with pytest.raises(ArgumentError, match="exponent must be 1 or 2"):
        priors.solo_covariances(X_FTM, [slice(None)], [1], exponent=0.5)


@pytest.mark.parametrize("diffuse", [0.0, 0.3])
def test_less_diffuse_covariances_keep_their_direction(X_FTM, diffuse):
    there = priors.solo_covariances(X_FTM, [slice(None)], [1]).R
    here = priors.solo_covariances(X_FTM, [slice(None)], [1], diffuse=diffuse).R
    values, vectors = np.linalg.eigh(there)
    values[..., :-1] *= diffuse
    np.testing.assert_allclose(here, (vectors * values[..., None, :]) @ vectors.conj().swapaxes(-1, -2), atol=1e-12)
    with pytest.raises(ArgumentError, match="diffuse must be a number from 0 to 1"):
        priors.solo_covariances(X_FTM, [slice(None)], [1], diffuse=2.0)


def test_passages_in_pieces_count_together(X_FTM):
    whole = priors.solo_covariances(X_FTM, [slice(2, 9)], [0])
    pieces = priors.solo_covariances(X_FTM, [[slice(2, 5), slice(5, 9)]], [0])
    np.testing.assert_allclose(pieces.R, whole.R, rtol=1e-12)


def test_a_silent_tail_changes_nothing(X_FTM):
    longer = np.concatenate([X_FTM, np.zeros_like(X_FTM)], axis=1)
    there = priors.solo_covariances(X_FTM, [slice(0, 11)], [0]).R
    np.testing.assert_allclose(priors.solo_covariances(longer, [slice(0, 22)], [0]).R, there, rtol=1e-12)


def test_a_frequency_without_solo_energy_belongs_to_the_own_spot(X_FTM):
    X = X_FTM.copy()
    X[3] = 0
    R = priors.solo_covariances(X, [slice(None)], [1]).R[0, 3]
    np.testing.assert_allclose(R, np.diag([0, 1, 0]), atol=1e-12)
    assert np.isfinite(priors.solo_covariances(np.zeros_like(X), [slice(None)], [1]).R).all()


def test_bases_span_the_solo(rng):
    W, H = rng.uniform(0, 1, (30, 2)) ** 4, rng.uniform(0, 1, (2, 40)) ** 4
    phase = np.exp(2j * np.pi * rng.uniform(size=(30, 40)))
    X = ((W @ H) * phase)[..., None]
    learned = priors.solo_bases(X, [slice(None)], [0], 2, n_iterations=500, rng=1).W[0]
    np.testing.assert_allclose(learned.sum(axis=0), 1)
    true = W / W.sum(axis=0)
    best = [min(np.abs(learned[:, k] - true[:, j]).sum() for k in range(2)) for j in range(2)]
    assert max(best) < 0.15


def test_bases_come_from_the_own_spot_and_passage(rng, X_FTM):
    def learn(X, passages=(slice(0, 6), slice(6, 11)), spots=(0, 1), **options):
        return priors.solo_bases(X, list(passages), list(spots), 3, **options).W

    base = learn(X_FTM)
    other = X_FTM.copy()
    other[:, 6:, 0] += 1  # nobody's spot at that time
    other[:, :6, 2] += 1
    np.testing.assert_array_equal(learn(other), base)
    assert not np.array_equal(learn(X_FTM, spots=(1, 0)), base)
    assert not np.array_equal(learn(X_FTM, rng=1), base)
    assert not np.array_equal(learn(X_FTM, n_iterations=7), base)
    assert np.isfinite(learn(np.zeros_like(X_FTM))).all()


@pytest.mark.parametrize(
    ("passages", "spots", "message"),
    [
        ([slice(0, 3)], [0, 1], "the same sources, got 1 and 2"),
        ([(0.0, 3.0)], [0], "source 0 must be slices of frames"),
        ([slice(20, 30)], [0], "source 0 has no frame within the 11"),
        ([slice(0, 3)], [3], "spots name microphone 3, but there are only 3"),
    ],
)
def test_passages_that_do_not_fit_are_refused(X_FTM, passages, spots, message):
    for learn in (priors.solo_covariances, priors.solo_bases, priors.solo_panning):
        with pytest.raises(ArgumentError, match=message):
            learn(X_FTM, passages, spots)


def test_panning_is_the_level_of_each_solo_at_each_mic(rng):
    mixing_MN = np.array([[1.0, 0.1, 0.3], [0.2, 1.0, 0.0]]).T
    s_FT = rng.standard_normal((2, 6, 10)) + 1j * rng.standard_normal((2, 6, 10))
    X = np.concatenate([s_FT[n][..., None] * mixing_MN[:, n] for n in range(2)], axis=1)
    prior = priors.solo_panning(X, [slice(0, 10), [slice(10, 13), slice(13, 20)]], [0, 1])
    np.testing.assert_allclose(prior.G, mixing_MN.T, rtol=1e-12)
    assert prior.spots == ((0,), (1,))
    np.testing.assert_array_equal(priors.solo_panning(0 * X, [slice(0, 5)], [2]).G, [[0, 0, 1]])


@pytest.mark.parametrize("beta", [0.5, 1.0])
@pytest.mark.parametrize("scale", [1.0, 1e-9])
def test_single_precision_factorises_as_well_as_double(rng, beta, scale):
    """Powers of music span more decades than single precision keeps digits; a quarter of the values is silence."""
    levels = 10.0 ** rng.uniform(-12, 0, (60, 1)) * rng.choice([0, 1], (60, 40), p=[0.25, 0.75])
    V = scale * levels * rng.exponential(size=(60, 40))
    factors = {
        dtype: nmf(V.astype(dtype), 4, beta=beta, n_iterations=20, rng=np.random.default_rng(0))
        for dtype in (np.float32, np.float64)
    }
    W, H = factors[np.float32]
    assert W.dtype == H.dtype == np.float32
    single, double = (
        beta_divergence(V / scale, np.matmul(*factors[dtype], dtype=float) / scale, beta)
        for dtype in (np.float32, np.float64)
    )
    assert single == pytest.approx(double, rel=1e-4)
    np.testing.assert_allclose(W.sum(axis=0), 1, rtol=1e-5)
    silence, _ = nmf(np.zeros((3, 4), np.float32), 2, beta=beta, n_iterations=3, rng=rng)
    assert np.isfinite(silence).all()


def test_a_ridge_bounds_demixing_where_two_players_reach_the_mics_alike(rng):
    """Without it the filters of `solo` would be a hundred times as large, and so would what else they let through."""
    alone_FTN = rng.standard_normal((3, 40, 2)) + 1j * rng.standard_normal((3, 40, 2))
    alone_FTN[:, :20, 1] = alone_FTN[:, 20:, 0] = 0
    X_FTM = alone_FTN @ np.array([[1.0, 1.0], [1.0, 1.0002]])
    passages = [slice(0, 20), slice(20, 40)]
    default = priors.solo(X_FTM, passages, (0, 1)).Q
    np.testing.assert_array_equal(default, priors.solo(X_FTM, passages, (0, 1), ridge=1e-3).Q)
    assert np.abs(default).max() < 50
    assert np.abs(priors.solo(X_FTM, passages, (0, 1), ridge=1e-12).Q).max() > 1000
    learned = priors.solo_covariances(X_FTM, passages, (0, 1), exponent=2.0)
    np.testing.assert_array_equal(priors.unmixing(learned).Q, priors.unmixing(learned, ridge=1e-3).Q)


def mixed(rng, A_MN, T=20):
    """Return a spectrogram of two frequencies in which the sources play alone in turn, and their passages."""
    X_FTM = np.concatenate([rng.standard_normal((2, T, 1)) * a_M for a_M in A_MN.T], axis=1) + 0j
    return X_FTM, [slice(n * T, (n + 1) * T) for n in range(A_MN.shape[1])]


def test_players_who_cannot_be_told_apart_are_not_demixed(rng):
    X_FTM, passages = mixed(rng, np.ones((2, 2)))
    Q_FMM = priors.solo(X_FTM, passages, (1, 0)).Q
    np.testing.assert_array_equal(Q_FMM, demixing_start(Spots((1, 0)), 2, 2))


@pytest.mark.parametrize(("level", "used"), [(1e-2, True), (1e-4, False)])
def test_a_solo_that_its_own_spot_hardly_hears_is_not_used(rng, level, used):
    X_FTM, passages = mixed(rng, np.array([[level, 0.0, 0.0], [1.0, 1.0, 0.5], [0.0, 0.5, 1.0]]))
    (row,) = priors.solo(X_FTM, passages, (0, 1, 2)).Q[:1, 1]
    assert (abs(row[0]) > 1e-6) == used  # what the second spot is rid of
    assert abs(row[2]) > 0.1  # it is rid of the third player all the same


def test_rows_of_no_source_are_the_microphones_that_are_left_as_far_as_can_be(rng):
    """What is left of each is in phase with it: no rotation of these rows is nearer to the microphones."""
    X_FTM, passages = mixed(rng, rng.standard_normal((5, 2)) + 1j * rng.standard_normal((5, 2)))
    Q_FMM = priors.solo(X_FTM, passages, (3, 1)).Q
    at_mics_FUU = Q_FMM[:, 2:, [0, 2, 4]]
    np.testing.assert_allclose(at_mics_FUU, at_mics_FUU.conj().swapaxes(1, 2), atol=1e-9)
    assert np.linalg.eigvalsh(at_mics_FUU).min() > 0
    np.testing.assert_allclose(
        Q_FMM[:, 2:] @ Q_FMM[:, 2:].conj().swapaxes(1, 2), np.tile(np.eye(3), (2, 1, 1)), atol=1e-9
    )


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_shares_that_are_given_count_as_far_as_they_are_trusted(rng, X_FTM, exponent):
    power_FTN = np.abs(X_FTM[..., :2]) ** 2
    own_FTN = power_FTN / power_FTN.sum(axis=2, keepdims=True)
    shares_NFT, trust_N = rng.random((2, *X_FTM.shape[:2])), np.array([0.25, 1.0])
    Q_FMM = np.tile(np.eye(3, dtype=complex), (len(X_FTM), 1, 1))
    for n, V_FT in enumerate(dominated(X_FTM, Q_FMM, exponent, shares_NFT, trust_N)):
        share_FT = trust_N[n] * shares_NFT[n] + (1 - trust_N[n]) * own_FTN[..., n]
        np.testing.assert_allclose(V_FT, (power_FTN[..., n] * share_FT) ** (exponent / 2), rtol=1e-9)
