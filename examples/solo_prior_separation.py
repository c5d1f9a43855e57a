"""Solo passages as spatial priors: fixH, updtH and blind on a quartet in a simulated room, in one table.

Cabañas-Molero et al. 2023.  Each player's solo passage teaches how the player reaches every microphone (R) and what
the instrument sounds like (W).  The three variants of full-rank MNMF differ only in what they make of it.
"""

from mnmf import STFT, FullRankMNMF, data, metrics, priors, simulate

# A string quartet in a room; each spot hears its own player and, more faintly, the other three.
quartet = data.quartet()
scene = simulate.chamber_scene(quartet.names)
images_LMN = simulate.render(scene, quartet.stems_LN, quartet.sample_rate)
mixture_LM = images_LMN.sum(axis=2)
truth_LN = images_LMN[:, scene.spots, range(len(scene.spots))]  # each player at its own spot
solos_LM, passages = simulate.solo_take(scene, list(quartet.solos_LN.T), quartet.sample_rate)

# Spectrograms, and the frames in which each player is alone.
stft = STFT(window_length=2048)
X_FTM = stft.analyse(mixture_LM)
X_solo_FTM = stft.analyse(solos_LM)
rate = quartet.sample_rate
alone = [stft.frames(p.start * rate, p.stop * rate, len(solos_LM)) for p in passages]

# What the solos teach, and what each variant holds of it.
covariances = priors.solo_covariances(X_solo_FTM, alone, scene.spots)
bases = priors.solo_bases(X_solo_FTM, alone, scene.spots, n_components=64, rng=0)
variants = {
    "fixH": (covariances | bases).hold("R", "W"),
    "updtH": (covariances | bases).hold("W"),
    "blind": bases.hold("W"),
}

before = metrics.bss_eval(truth_LN, mixture_LM[:, scene.spots])
print(f"{'ΔSDR in dB':12}" + "".join(f"{name:>10}" for name in (*quartet.names, "mean")))
for name, prior in variants.items():
    model = FullRankMNMF(n_iterations=50).fit(X_FTM, prior, rng=0)
    estimate_LN = stft.synthesise(model.separate(X_FTM), len(mixture_LM))
    gain = metrics.bss_eval(truth_LN, estimate_LN).sdr - before.sdr
    print(f"{name:12}" + "".join(f"{value:10.1f}" for value in (*gain, gain.mean())))
