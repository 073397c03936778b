# %% [markdown]
# # Few labels in scikit-learn
#
# Many clips, and labels for those of two people only. An encoder that has never seen the clips turns them into vectors;
# a classifier of scikit-learn learns from the few labels. The encoder comes with the package; the clips are synthetic.

# %%
from pathlib import Path

import numpy as np

import ssl_skel
from ssl_skel.data.synthetic import SyntheticConfig, write_synthetic

write_synthetic(Path("motions"), SyntheticConfig(subjects=6, cameras=2, repetitions=1))
store = ssl_skel.Store.open("motions")
vectors = ssl_skel.Embedder("box/tcn").encode("motions")
labels, subject = np.asarray(store.label), np.asarray(store.subject)
labelled = subject <= 2
print(f"{labelled.sum()} labelled clips of two people, {(~labelled).sum()} clips of four others")

# %% [markdown]
# ## A classifier on two people, measured on four others

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
model.fit(vectors[labelled], labels[labelled])
print(f"accuracy: {100 * model.score(vectors[~labelled], labels[~labelled]):.0f} %, chance: 8 %")

# %% [markdown]
# ## Which actions it confuses

# %%
import matplotlib.pyplot as plt
from sklearn.metrics import ConfusionMatrixDisplay

figure, axes = plt.subplots(figsize=(7, 6))
ConfusionMatrixDisplay.from_predictions(
    labels[~labelled],
    model.predict(vectors[~labelled]),
    display_labels=store.class_names,
    normalize="true",
    values_format=".1f",
    xticks_rotation=90,
    colorbar=False,
    cmap="Blues",
    ax=axes,
    text_kw={"fontsize": 6},
)

# %% [markdown]
# With arrays in the encoder's own layout, `ssl_skel.SkeletonEmbedder(run)` is the first step of such a pipeline, and the
# whole of it takes arrays.
