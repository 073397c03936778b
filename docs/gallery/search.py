# %% [markdown]
# # Search
#
# Which recordings show the same motion? Clips become vectors, and the nearest vectors are found. The encoder comes with
# the package, the clips are synthetic: six people perform 13 actions in front of two cameras.

# %%
from pathlib import Path

import ssl_skel
from ssl_skel.data.synthetic import SyntheticConfig, write_synthetic

write_synthetic(Path("motions"), SyntheticConfig(subjects=6, cameras=2, repetitions=1))
index = ssl_skel.build_index("box/tcn", "motions", "motions.index")

# %% [markdown]
# ## Ask with a clip
#
# The query is the name of a clip, a file, or a folder of them. Hits by other people of the same action are what we want.

# %%
(answer,) = ssl_skel.search(index, "wave_s01_r0_c1", k=5)
for hit in answer.hits:
    print(f"{hit.similarity:.4f}  {hit.centred:.2f}  {hit.name}")

# %% [markdown]
# The first number is the cosine. All people move more alike than not, so it is high for every clip; the second is the
# cosine after the index's mean was subtracted: 0 means no more in common than any two clips.
#
# ## How good is it over all queries?
#
# Each clip asks once. Does the nearest clip of another person show the same action?

# %%
import numpy as np

store = ssl_skel.Store.open("motions")
names, labels, people = (np.asarray(column) for column in (store.name, store.label, store.subject))
row = {str(name): number for number, name in enumerate(names)}
right = []
for query, name in enumerate(names):
    (answer,) = ssl_skel.search(index, str(name), k=30)
    found = [row[hit.name] for hit in answer.hits]
    nearest = next(hit for hit in found if people[hit] != people[query])
    right.append(labels[nearest] == labels[query])
print(f"{100 * np.mean(right):.0f} % do (chance: 8 %)")
