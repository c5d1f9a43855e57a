"""Multichannel Wiener reconstruction for jointly diagonalised models.

Everything is computed in double precision, whatever the type of the data, because the inverse of a demixing matrix may
magnify rounding errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnmf.kernels._blocks import Rooms, clear, product, zeros
from mnmf.kernels._compile import inner, kernel
from mnmf.kernels._threads import share_out

__all__ = ["diagonal_images"]

Array = NDArray[Any]

TINY = 1e-30
FREQUENCIES = 16  # that one thread handles at a time
FAST = {"contract"}  # the compiler may join a product and a sum into one instruction


@inner
def _load(X_TM, planes_RMT):  # type: ignore[no-untyped-def]
    """Copy signals into real and imaginary planes."""
    for m in range(X_TM.shape[1]):
        for t in range(len(X_TM)):
            planes_RMT[0, m, t] = X_TM[t, m].real
            planes_RMT[1, m, t] = X_TM[t, m].imag


@inner(fastmath=FAST)
def _add_product(z, re_T, im_T, weight_T, out_RT):  # type: ignore[no-untyped-def]
    """Add a complex number times a signal times real weights."""
    a = z.real
    b = z.imag
    x_T = out_RT[0]
    y_T = out_RT[1]
    for t in range(len(re_T)):
        c = weight_T[t] * re_T[t]
        d = weight_T[t] * im_T[t]
        x_T[t] += a * c - b * d
        y_T[t] += a * d + b * c


@inner(fastmath=FAST)
def _invert(P_NBT, b, G_NM, m, out_T):  # type: ignore[no-untyped-def]
    """Write 1/y of row m, where ``y = Σ_n g_nm λ_n``."""
    out_T[:] = TINY
    for n in range(len(P_NBT)):
        g = np.float64(G_NM[n, m])
        P_T = P_NBT[n, b]
        for t in range(len(out_T)):
            out_T[t] += g * P_T[t]
    for t in range(len(out_T)):
        out_T[t] = 1 / out_T[t]


@inner(fastmath=FAST)
def _share(P_T, g, least, inverse_T, out_T):  # type: ignore[no-untyped-def]
    """Write the share of one source in a row, ``(g λ + least) / y``."""
    for t in range(len(out_T)):
        out_T[t] = (g * P_T[t] + least) * inverse_T[t]


def _workspace(N: int, M: int, n_images: int, T: int, kind: Any) -> tuple[Array, ...]:
    """Return what the kernel works in, in the order of its arguments."""
    shapes = (
        (T,),  # ones
        (T,),  # 1/y of one row
        (T,),  # the share of one source in it
        (2, M, T),  # signals, real and imaginary
        (2, T),  # a row of Qx
        (n_images, 2, T),  # images of one frequency
    )
    room = zeros(shapes, np.float64)
    room[0][:] = 1.0
    return np.empty((N, FREQUENCIES, T), kind), *room  # first the λ of a block


@kernel
def _block(  # type: ignore[no-untyped-def]
    X_FTM, W_NFK, H_NKT, G_NM, Q_FMM, P_FMM, sources, mics, first, S_FTI,
    P_NBT, ones_T, inverse_T, share_T, planes_RMT, z_RT, images_IRT,
):  # fmt: skip
    """Do the work of `diagonal_images` for a block of frequencies."""
    F, T, M = X_FTM.shape
    N = len(W_NFK)
    size = min(FREQUENCIES, F - first)
    for n in range(N):
        product(W_NFK[n, first : first + size], H_NKT[n], P_NBT[n, :size])
    for b in range(size):
        f = first + b
        _load(X_FTM[f], planes_RMT)
        clear(images_IRT.ravel())
        for m in range(M):
            clear(z_RT.ravel())
            for j in range(M):
                _add_product(Q_FMM[f, m, j], planes_RMT[0, j], planes_RMT[1, j], ones_T, z_RT)
            _invert(P_NBT, b, G_NM, m, inverse_T)
            for i in range(len(sources)):
                n = sources[i]
                _share(P_NBT[n, b], np.float64(G_NM[n, m]), TINY / N, inverse_T, share_T)
                _add_product(P_FMM[f, mics[i], m], z_RT[0], z_RT[1], share_T, images_IRT[i])
        for t in range(T):
            for i in range(len(sources)):
                S_FTI[f, t, i] = complex(images_IRT[i, 0, t], images_IRT[i, 1, t])


def diagonal_images(
    X_FTM: Array,
    W_NFK: Array,
    H_NKT: Array,
    G_NM: Array,
    Q_FMM: Array,
    P_FMM: Array,
    sources: NDArray[np.int64],
    mics: NDArray[np.int64],
) -> Array:
    """Return images of sources at microphones: rows of ``Q⁻¹ diag(λ_n g_n / Σ_r λ_r g_r) Q x``.

    Where the model of every source is zero they get equal shares, so all images sum to the mixture.

    Parameters
    ----------
    X_FTM : complex64 or complex128, shape (F, T, M)
    W_NFK, H_NKT, G_NM : float32 or float64, shapes (N, F, K), (N, K, T), (N, M)
        Bases, activations and weights; W and H of one type.
    Q_FMM, P_FMM : complex128, shape (F, M, M)
        Demixing matrices, row m being q_mᴴ, and their inverses.
    sources, mics : int64, shape (I,)
        Image i is that of ``sources[i]`` at ``mics[i]``.

    Returns
    -------
    S_FTI : of the type of `X_FTM`, shape (F, T, I)

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X_FTM = rng.standard_normal((3, 4, 2)) + 1j * rng.standard_normal((3, 4, 2))
    >>> W_NFK, H_NKT, G_NM = rng.random((2, 3, 2)), rng.random((2, 2, 4)), rng.random((2, 2))
    >>> one_FMM = np.tile(np.eye(2, dtype=complex), (3, 1, 1))
    >>> S_FTI = diagonal_images(X_FTM, W_NFK, H_NKT, G_NM, one_FMM, one_FMM, np.array([0, 1]), np.array([0, 0]))
    >>> np.allclose(S_FTI.sum(axis=2), X_FTM[..., 0])
    True
    """
    S_FTI = np.empty((*X_FTM.shape[:2], len(sources)), X_FTM.dtype)

    N, M = G_NM.shape
    rooms = Rooms(lambda: _workspace(N, M, len(sources), X_FTM.shape[1], H_NKT.dtype))

    def work(block: int) -> None:
        with rooms.one() as room:
            _block(X_FTM, W_NFK, H_NKT, G_NM, Q_FMM, P_FMM, sources, mics, block * FREQUENCIES, S_FTI, *room)

    share_out(work, -(-len(X_FTM) // FREQUENCIES))
    return S_FTI
