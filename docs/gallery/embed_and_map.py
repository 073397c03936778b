# %% [markdown]
# # Embed and map
#
# An encoder turns each clip into a vector. A map of these vectors shows which motions it takes for alike. The encoder
# comes with the package and has never seen these clips, which are synthetic.

# %%
from pathlib import Path

import ssl_skel
from ssl_skel.data.synthetic import SyntheticConfig, write_synthetic

write_synthetic(Path("motions"), SyntheticConfig(subjects=6, cameras=2, repetitions=1))
store = ssl_skel.Store.open("motions")
vectors = ssl_skel.Embedder("box/tcn").encode("motions")
print(f"{len(store)} clips, vectors of {vectors.shape[1]} numbers")

# %% [markdown]
# ## Map
#
# t-SNE places similar vectors side by side. Distances between far groups mean nothing.

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.manifold import TSNE

places = TSNE(perplexity=20, init="pca", random_state=0).fit_transform(np.asarray(vectors, np.float64))
labels = np.asarray(store.label)
figure, axes = plt.subplots(figsize=(8, 5))
for number, name in enumerate(store.class_names):
    mine = places[labels == number]
    axes.scatter(*mine.T, s=18, color=plt.cm.tab20(number), label=name)
axes.set(xticks=[], yticks=[])
axes.legend(fontsize=7, ncols=2, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
