"""BSS Eval by its definition: least squares on a matrix of delayed references, and the parts as signals."""

import itertools

import numpy as np


def delayed(reference_LN, taps):
    """Each reference delayed by 0 to taps - 1 samples, one delay a column: (L + taps - 1, N taps)."""
    length, n_sources = reference_LN.shape
    matrix = np.zeros((length + taps - 1, n_sources * taps))
    for n in range(n_sources):
        for delay in range(taps):
            matrix[delay : delay + length, n * taps + delay] = reference_LN[:, n]
    return matrix


def project(matrix, signal):
    return matrix @ np.linalg.lstsq(matrix, signal, rcond=None)[0]


def decibels(numerator, denominator):
    return 10 * np.log10(np.sum(numerator**2) / np.sum(denominator**2))


def bss_eval(reference_LN, estimate_LN, taps):
    """SDR, SIR and SAR of every reference (rows) with every estimate (columns)."""
    n_sources = reference_LN.shape[1]
    sdr, sir, sar = np.empty((3, n_sources, n_sources))
    for j in range(n_sources):
        for e in range(n_sources):
            estimate = np.concatenate([estimate_LN[:, e], np.zeros(taps - 1)])
            target = project(delayed(reference_LN[:, j : j + 1], taps), estimate)
            interference = project(delayed(reference_LN, taps), estimate) - target
            artefact = estimate - target - interference
            sdr[j, e] = decibels(target, interference + artefact)
            sir[j, e] = decibels(target, interference)
            sar[j, e] = decibels(target + interference, artefact)
    return sdr, sir, sar


def best_permutation(sir):
    references = range(len(sir))
    return max(itertools.permutations(references), key=lambda p: sum(sir[j, p[j]] for j in references))


def snr(reference_LN, estimate_LN):
    return np.array([decibels(s, s - e) for s, e in zip(reference_LN.T, estimate_LN.T)])
