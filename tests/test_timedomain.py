"""The time-domain optimisation: what holds for any data, and what can and cannot be found."""

import numpy as np
import pytest
import soundfile as sf

from mnmf import STFT, Prior, TimeDomain, cli, priors
from mnmf.errors import ArgumentError, NotFittedError
from mnmf.kernels import timedomain as kernels
from tests.reference import timedomain as naive
from tests.test_cli import NAMES, read_manifest, write_session

OFF = ~np.eye(4, dtype=bool)
EXAMPLE = np.where(OFF, 0.1, 1.0)  # the matrix of the paper


@pytest.fixture
def s_LN(rng):
    return rng.laplace(size=(3000, 4))


@pytest.fixture
def x_LM(s_LN):
    return s_LN @ EXAMPLE.T


def stems(model, x_LM, **options):
    """Return the stems as waveforms, (L, N)."""
    S_FTN = model.separate(x_LM[None], **options)
    assert S_FTN.dtype == np.result_type(x_LM.dtype, np.complex64)
    assert not S_FTN.imag.any()
    return S_FTN[0].real


def solo_prior(rng, mixing_MN, stft=None):
    """Return the panning that solo passages of every source give."""
    N = mixing_MN.shape[1]
    solos = [rng.laplace(size=(2000, 1)) * mixing_MN[:, n] for n in range(N)]
    pieces = [x_LM[None] + 0j if stft is None else stft.analyse(x_LM) for x_LM in solos]
    length = pieces[0].shape[1]
    passages = [slice(n * length, (n + 1) * length) for n in range(N)]
    return np.concatenate(pieces, axis=1), passages, range(N)


@pytest.mark.kernel
@pytest.mark.parametrize("n_sources", [4, 3])
@pytest.mark.parametrize("eta", [1e-9, 1e-2])
def test_iterations_are_those_of_the_paper(rng, n_sources, eta):
    mixing = np.where(OFF, rng.uniform(-0.1, 0.4, (4, 4)), 1.0)
    x_LM = rng.laplace(size=(500, 4)) @ mixing.T
    m_L = x_LM @ [0.5, 1.0, 0.7, 0.2] + 0.1 * rng.standard_normal(500)
    model = TimeDomain(7, n_sources, gamma1=0.02, gamma2=0.2, eta=eta).fit(x_LM[None], m_L=m_L)
    A, _, b, costs = naive.run(x_LM.T, m_L, n_sources, 0.02, 0.2, eta, 7)
    np.testing.assert_allclose(model.A_, A, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(model.b_, b, rtol=1e-7)
    np.testing.assert_allclose(model.cost_, costs, rtol=1e-6)
    S = np.linalg.inv(A.T @ A + np.outer(b, b)) @ (np.outer(b, m_L) + A.T @ x_LM.T)
    np.testing.assert_allclose(stems(model, x_LM, m_L=m_L), S.T, rtol=1e-6, atol=1e-9)


@pytest.mark.kernel
@pytest.mark.parametrize("eta", [0.0, 0.1, 3.0])
def test_each_step_minimises_its_own_cost(rng, eta):
    X, m = rng.standard_normal((4, 30)), rng.standard_normal(30)
    A, S, b = rng.uniform(0, 1, (4, 3)), rng.standard_normal((3, 30)), rng.uniform(0, 1, 3)
    steps = (
        (A, kernels.update_mixing(X, S, eta), lambda A: kernels.cost(X, m, A, S, b) + eta * np.sum(A**2)),
        (S, kernels.update_sources(X, m, A, b), lambda S: kernels.cost(X, m, A, S, b)),
        (b, kernels.update_mix(m, S, eta), lambda b: kernels.cost(X, m, A, S, b) + eta * np.sum(b**2)),
    )
    for old, new, cost in steps:
        assert cost(new) < cost(old)
        assert cost(new) <= min(cost(new + 1e-3 * rng.standard_normal(new.shape)) for _ in range(20))


@pytest.mark.kernel
def test_projection(rng):
    for _ in range(20):
        A = rng.normal(size=(5, 3))
        own = np.array([2, 0, 4])
        new = kernels.project(A, own, 0.1, 0.6)
        for n, i in enumerate(own):
            others = np.delete(new[i], n)
            assert np.all((others >= 0.1) & (others <= 0.6))
            assert new[i, n] >= others.max()
        for i in (1, 3):  # nobody's spot
            np.testing.assert_array_equal(new[i], np.maximum(A[i], 0))
        np.testing.assert_array_equal(kernels.project(new, own, 0.1, 0.6), new)
    square = rng.normal(size=(4, 4))
    np.testing.assert_array_equal(kernels.project(square, np.arange(4), 0.1, 0.6), naive.project(square, 0.1, 0.6))


def test_compressed_has_the_same_products(rng):
    for length in (2, 70000 * 2):
        x_LM, m_L = rng.standard_normal((length, 3)), rng.standard_normal(length)
        for mix in (m_L, None):
            X, m = kernels.compressed(x_LM, mix)
            whole = np.column_stack([x_LM, x_LM.sum(axis=1) if mix is None else mix])
            small = np.vstack([X, m]).T
            np.testing.assert_allclose(small.T @ small, whole.T @ whole, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("gamma1", "found"), [(0.0, 0.0), (0.05, 0.054), (0.1, 0.116), (0.2, 0.269)])
def test_without_solos_gamma1_decides_although_nothing_is_left_to_explain(x_LM, gamma1, found):
    model = TimeDomain(gamma1=gamma1).fit(x_LM[None])
    assert model.cost_[-1] <= 1e-10
    assert np.all(np.diag(model.A_) == 1)
    np.testing.assert_allclose(model.A_[OFF], found, atol=0.01)


def test_the_identity_costs_nothing(x_LM):
    model = TimeDomain(gamma1=0.0).fit(x_LM[None])
    assert len(model.cost_) == 1
    np.testing.assert_allclose(stems(model, x_LM), x_LM, atol=1e-9)


@pytest.mark.parametrize("learn", [priors.solo_panning, priors.solo_mixing])
@pytest.mark.parametrize("stft", [None, STFT(256)])
def test_with_solos_the_example_of_the_paper_is_recovered(rng, s_LN, x_LM, learn, stft):
    model = TimeDomain().fit(x_LM[None], learn(*solo_prior(rng, EXAMPLE, stft)).hold("G"))
    assert model.cost_[-1] <= 1e-10
    np.testing.assert_allclose(model.A_, EXAMPLE, atol=0.01)
    np.testing.assert_allclose(stems(model, x_LM), s_LN, atol=1e-4)


def test_a_held_matrix_stays_and_a_start_moves(rng, x_LM):
    G = rng.uniform(0.2, 0.3, (4, 4))
    G[range(4), range(4)] = 2.0
    held = TimeDomain().fit(x_LM[None], Prior(G=G).hold("G"))
    np.testing.assert_allclose(held.A_, G.T / 2, rtol=1e-12)
    free = TimeDomain().fit(x_LM[None], Prior(G=G))
    assert np.abs(free.A_ - TimeDomain().fit(x_LM[None]).A_).max() > 1e-3


def test_more_mics_than_sources(rng):
    mixing = np.array([[0.3, 0.5], [0.2, 1.0], [1.0, 0.1], [0.7, 1.4]])
    s_LN = rng.laplace(size=(2000, 2))
    x_LM = s_LN @ mixing.T
    prior = Prior(G=mixing.T, spots=(2, (1, 3)))
    model = TimeDomain().fit(x_LM[None], prior.hold("G"))
    np.testing.assert_allclose(stems(model, x_LM), s_LN, atol=1e-4)
    blind = TimeDomain(gamma1=0.1).fit(x_LM[None], Prior(spots=prior.spots))
    assert blind.cost_[-1] < 1e-3
    assert np.isfinite(stems(blind, x_LM)).all()
    assert blind.A_[2, 0] == blind.A_[1, 1] == 1
    assert blind.A_.min() >= 0


def test_a_mix_of_ones_own_must_come_back_to_separate(rng, s_LN, x_LM):
    m_L = s_LN @ [1.0, 0.5, 0.2, 0.8]
    model = TimeDomain().fit(x_LM[None], Prior(G=EXAMPLE.T).hold("G"), m_L=m_L)
    np.testing.assert_allclose(model.b_, [1.0, 0.5, 0.2, 0.8], atol=1e-3)
    np.testing.assert_allclose(stems(model, x_LM, m_L=m_L), s_LN, atol=1e-3)
    with pytest.raises(ArgumentError, match="m_L must be given to fit and to separate"):
        stems(model, x_LM)
    with pytest.raises(ArgumentError, match="m_L must be given to fit and to separate"):
        stems(TimeDomain().fit(x_LM[None]), x_LM, m_L=m_L)
    with pytest.raises(ArgumentError, match="m_L must have shape"):
        TimeDomain().fit(x_LM[None], m_L=m_L[1:])


@pytest.mark.parametrize("level", [0.0, 1e-6])
def test_a_silent_spot_takes_no_part(rng, level):
    s_LN = rng.laplace(size=(2000, 4))
    x_LM = s_LN @ EXAMPLE.T
    x_LM[:, 1] = level * rng.standard_normal(2000)
    for prior in (None, Prior(G=EXAMPLE.T).hold("G")):
        model = TimeDomain().fit(x_LM[None], prior)
        y_LN = stems(model, x_LM)
        np.testing.assert_allclose(y_LN[:, 1], x_LM[:, 1], atol=1e-12)
        np.testing.assert_array_equal(model.A_[:, 1], [0, 1, 0, 0])
        assert y_LN[:, 0].any()


@pytest.mark.parametrize("own_mix", [False, True])
def test_images_are_gains_times_the_stems(rng, own_mix):
    mixing = np.array([[0.3, 0.5], [0.2, 1.0], [1.0, 0.1], [0.7, 1.4]])
    X_FTM = (rng.laplace(size=(1, 70000, 2)) @ mixing.T).astype(np.complex64)  # more samples than a block
    mix = {"m_L": X_FTM[0].real @ rng.uniform(size=4)} if own_mix else {}
    model = TimeDomain(gamma1=0.0).fit(X_FTM, Prior(G=mixing.T, spots=(2, 1)).hold("G"), **mix)
    images = model.images(X_FTM, **mix)
    S_FTN = model.separate(X_FTM, **mix)
    assert (images.shape, images.dtype, S_FTN.dtype) == ((1, 70000, 4, 2), np.complex64, np.complex64)
    np.testing.assert_allclose(images, np.einsum("mn,ftn->ftmn", model.A_, S_FTN), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(images.sum(axis=3), X_FTM, atol=1e-4)  # Λ explains this recording
    for n, mic in enumerate((2, 1)):
        np.testing.assert_array_equal(images[..., mic, n], S_FTN[..., n])
        np.testing.assert_array_equal(model.images(X_FTM, n, [3, mic], **mix)[..., 1], S_FTN[..., n])
    short = {name: m_L[:999] for name, m_L in mix.items()}
    np.testing.assert_allclose(model.separate(X_FTM[:, :999], **short), S_FTN[:, :999], rtol=1e-6, atol=1e-7)
    for call in (lambda: model.activations(X_FTM), lambda: model.images(X_FTM, H=np.ones(3), **mix)):
        with pytest.raises(ArgumentError, match="TimeDomain has no activations"):
            call()


def test_real_and_complex_data_give_the_same_stems(x_LM):
    real, single = x_LM[None], x_LM[None].astype(np.float32)
    model = TimeDomain(9).fit(real)
    assert TimeDomain(9).fit(real + 0j).A_.tobytes() == model.A_.tobytes()
    assert model.separate(real + 0j).tobytes() == model.separate(real).tobytes()
    assert model.separate(single.astype(np.complex64)).tobytes() == model.separate(single).tobytes()
    loud = (1000 * x_LM[None]).astype(np.int16)
    assert model.separate(loud).dtype == np.complex128


def test_copied_mics_give_no_nan_and_nothing_loud(rng, x_LM):
    x_LM = x_LM.copy()
    x_LM[:, 1] = x_LM[:, 0]
    panning = np.where(OFF, 0.1, 1.0)
    panning[:2, :2] = 1.0
    for prior in (None, Prior(G=panning).hold("G")):
        y_LN = stems(TimeDomain().fit(x_LM[None], prior), x_LM)
        assert np.isfinite(y_LN).all()
        assert np.std(y_LN) < 2 * np.std(x_LM)


def test_silence_in_silence_out():
    for shape in ((100, 3), (1, 1)):
        model = TimeDomain().fit(np.zeros((1, *shape)))
        assert not stems(model, np.zeros(shape)).any()
        assert np.isfinite(model.cost_).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 1)])
def test_tiny_shapes(rng, shape):
    x_LM = rng.standard_normal(shape)
    assert np.isfinite(stems(TimeDomain().fit(x_LM[None]), x_LM)).all()
    alone = TimeDomain().fit(x_LM[None, :, :1])
    np.testing.assert_allclose(stems(alone, x_LM[:, :1]), x_LM[:, :1], rtol=1e-9)


def test_scale_and_precision(x_LM):
    usual = TimeDomain().fit(x_LM[None])
    np.testing.assert_allclose(TimeDomain().fit((x_LM * 32768)[None]).A_, usual.A_, rtol=1e-6)
    single = x_LM.astype(np.float32)
    y_LN = stems(TimeDomain().fit(single[None]), single)
    assert y_LN.dtype == np.float32
    np.testing.assert_allclose(y_LN, stems(usual, x_LM), atol=1e-4)


def test_inputs_are_untouched_and_a_refit_starts_afresh(x_LM):
    copy, G = x_LM.copy(), EXAMPLE.copy()
    model = TimeDomain().fit(x_LM[None], Prior(G=G))
    first = model.A_.tobytes()
    stems(model, x_LM)
    assert x_LM.tobytes() == copy.tobytes()
    assert G.tobytes() == EXAMPLE.tobytes()
    assert model.fit(x_LM[None], Prior(G=G), rng=5).A_.tobytes() == first


def test_every_hyper_parameter_changes_something(rng):
    x_LM = rng.laplace(size=(500, 4)) @ np.where(OFF, 0.4, 1.0).T
    m_L = x_LM @ [0.5, 1.0, 0.7, 0.2] + rng.standard_normal(500)  # no sum of sources: so that all bounds bite
    usual = TimeDomain(20).fit(x_LM[None], m_L=m_L)
    changes = {"gamma1": 0.1, "gamma2": 0.06, "eta": 0.1}
    assert set(changes) | {"n_iterations", "n_sources", "epsilon"} == TimeDomain().get_params().keys()
    for name, value in changes.items():
        assert TimeDomain(20, **{name: value}).fit(x_LM[None], m_L=m_L).A_.tobytes() != usual.A_.tobytes(), name
    assert usual.cost_.shape == (20,)
    assert TimeDomain(20, epsilon=1.0).fit(x_LM[None]).cost_.shape == (1,)
    assert TimeDomain(20, 2).fit(x_LM[None]).A_.shape == (4, 2)


def test_callback_sees_every_iteration_and_can_stop(rng):
    x_LM = rng.standard_normal((50, 3))
    seen = []

    def callback(done, cost):
        seen.append((done, cost))
        return done == 3

    assert seen == list(zip((1, 2, 3), TimeDomain().fit(x_LM[None], callback=callback).cost_))


def test_save_and_load(tmp_path, x_LM):
    model = TimeDomain(9, 4, gamma1=0.07, gamma2=0.4, eta=1e-6, epsilon=1e-8).fit(x_LM[None], Prior(spots=(3, 1, 0, 2)))
    model.save(tmp_path / "model.npz")
    loaded = TimeDomain.load(tmp_path / "model.npz")
    assert stems(loaded, x_LM).tobytes() == stems(model, x_LM).tobytes()
    assert list(loaded.get_params().values()) == [9, 4, 0.07, 0.4, 1e-6, 1e-8]
    assert loaded.spots_ == ((3,), (1,), (0,), (2,))
    np.testing.assert_array_equal(loaded.cost_, model.cost_)
    np.savez(tmp_path / "other.npz", model="KAMIR")
    with pytest.raises(ArgumentError, match="does not hold a TimeDomain"):
        TimeDomain.load(tmp_path / "other.npz")
    with pytest.raises(NotFittedError):
        TimeDomain().save(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (Prior(G=np.ones((4, 3))), "prior.G must have shape"),
        (Prior(G=-np.ones((4, 4))), "prior.G must not be negative"),
        (Prior(G=np.zeros((4, 4))), "prior.G must be positive at every source's own spot"),
        (Prior().hold("G"), "the prior holds G but gives none"),
        (Prior().hold("Q"), "this model has no Q to hold; it has G"),
        (Prior(G=EXAMPLE).pull("G"), "this model cannot pull G"),
        (Prior(spots=(0, 0)), "two sources share a microphone"),
        (Prior(spots=(0, 4)), "spots name microphone 4, but there are only 4"),
        (Prior(spots=(0, 1, 2, 3, 3)), "5 sources on 4 microphones cannot be unmixed"),
    ],
)
def test_priors_that_do_not_fit_are_refused(x_LM, prior, message):
    with pytest.raises(ArgumentError, match=message):
        TimeDomain().fit(x_LM[None], prior)


def test_bad_arguments_are_refused(x_LM):
    bad = {"n_iterations": 0, "n_sources": 0, "gamma1": -0.1, "gamma2": 1.1, "eta": -1, "epsilon": -1}
    for name, value in bad.items():
        with pytest.raises(ArgumentError, match=name):
            TimeDomain(**{name: value}).fit(x_LM[None])
    with pytest.raises(ArgumentError, match="gamma2 must be a number from 0.4"):
        TimeDomain(gamma1=0.4, gamma2=0.3).fit(x_LM[None])
    with pytest.raises(ArgumentError, match=r"waveforms of shape \(1, samples, mics\), got float64 .*x_LM\[None\] is"):
        TimeDomain().fit(x_LM)
    for wrong in (x_LM[:, None], x_LM[None, None]):
        with pytest.raises(ArgumentError, match=r"waveforms of shape \(1, samples, mics\)"):
            TimeDomain().fit(wrong)
    with pytest.raises(ArgumentError, match="imaginary part of zero"):
        TimeDomain().fit(x_LM[None] + 1e-9j)
    with pytest.raises(ArgumentError, match="transpose it"):
        TimeDomain().fit(x_LM.T[None])
    with pytest.raises(ArgumentError, match="NaN"):
        TimeDomain().fit(x_LM[None] * np.nan)
    with pytest.raises(ArgumentError, match="rng must be"):
        TimeDomain().fit(x_LM[None], rng=-1)
    with pytest.raises(NotFittedError, match="call fit first"):
        TimeDomain().separate(x_LM[None])
    with pytest.raises(ArgumentError, match=r"\(F, T, M\) = \(any, any, 4\)"):
        stems(TimeDomain().fit(x_LM[None]), x_LM[:, :3])


def test_solo_mixing_is_the_least_squares_gain(rng):
    x_LM = rng.standard_normal((300, 2))
    x_LM[:, 1] += 0.4 * x_LM[:, 0]
    prior = priors.solo_mixing(x_LM[None] + 0j, [slice(0, 100), [slice(100, 150), slice(200, 300)]], (0, 1))
    first, second = x_LM[:100], x_LM[np.r_[100:150, 200:300]]
    wanted = [
        [1, np.linalg.lstsq(first[:, :1], first[:, 1])[0][0]],
        [np.linalg.lstsq(second[:, 1:], second[:, 0])[0][0], 1],
    ]
    np.testing.assert_allclose(prior.G, wanted, rtol=1e-9)
    assert prior.spots == ((0,), (1,))
    inverted = priors.solo_mixing(x_LM[None] * [1, -1] + 0j, [slice(0, 100)], (0,))
    np.testing.assert_array_equal(inverted.G, [[1, 0]])
    silent = priors.solo_mixing(np.zeros((1, 9, 2), complex), [slice(0, 9)], (1,))
    np.testing.assert_array_equal(silent.G, [[0, 1]])


def test_the_command_unmixes_an_instantaneous_take_and_tells_no_window(tmp_path):
    arguments = write_session(tmp_path)
    command = ["separate", *arguments, "--method", "time-domain"]
    assert cli.run(command) == 0
    assert read_manifest(tmp_path / "out")["parameters"] == {"seed": 0, "iterations": 200}
    truth, _ = sf.read(tmp_path / "truth.wav")
    take, _ = sf.read(tmp_path / "take.wav")
    for n, name in enumerate(NAMES):
        stem, _ = sf.read(tmp_path / "out" / f"{name}.wav")
        assert np.sum((stem - truth[:, n]) ** 2) < 1e-4 * np.sum((take[:, n] - truth[:, n]) ** 2)
    alone = [
        "separate",
        arguments[0],
        "--sources",
        ",".join(NAMES),
        "--out",
        f"{tmp_path}/bare",
        "--method",
        "time-domain",
    ]
    assert cli.run(alone) == 0


def test_an_offset_stays_and_gains_do_not_matter(tmp_path):
    arguments = write_session(tmp_path, subtype="FLOAT")
    stems = []
    for gains in ([1, 1, 1], [3, 1, 0.2]):
        for name in ("take", "solos"):
            x, rate = sf.read(tmp_path / f"{name}.wav")
            sf.write(tmp_path / f"{name}.wav", x * gains, rate, "FLOAT")
        x, rate = sf.read(tmp_path / "take.wav")
        sf.write(tmp_path / "take.wav", x + 0.01, rate, "FLOAT")
        assert cli.run(["separate", *arguments, "--method", "time-domain", "--overwrite"]) == 0
        stems.append(np.stack([sf.read(tmp_path / "out" / f"{name}.wav")[0] for name in NAMES], axis=1))
        sf.write(tmp_path / "take.wav", x, rate, "FLOAT")
    np.testing.assert_allclose(stems[0].mean(axis=0), 0.01, atol=1e-3)
    np.testing.assert_allclose(stems[1] - 0.01, (stems[0] - 0.01) * [3, 1, 0.2], atol=1e-3)


@pytest.mark.parametrize("method", ["time-domain", "kamir"])
def test_a_shared_spot_is_refused(tmp_path, capsys, method):
    arguments = write_session(tmp_path)
    told = ["--spot", "violin=1", "--spot", "viola=1", "--ambient", "2", "--method", method]
    assert cli.run(["separate", *arguments, *told]) == 2
    assert "two sources share a mic" in capsys.readouterr().err


def test_kamir_tells_no_components(tmp_path):
    arguments = write_session(tmp_path)
    assert cli.run(["separate", *arguments, "--method", "kamir", "--iterations", "2"]) == 0
    assert set(read_manifest(tmp_path / "out")["parameters"]) == {"seed", "window_samples", "hop_samples", "iterations"}
