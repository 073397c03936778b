"""The information bottleneck of InfoGCN: a head whose latent code knows the class and little else, and its loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from finetune.classifiers.config import BottleneckConfig
from finetune.classifiers.linear import Classifier
from ssl_skel.batch import Batch, Rng
from ssl_skel.distributed import gather
from ssl_skel.encoders.encoder import SkeletonEncoder


class Bottleneck(nn.Module):
    """Features to a latent code with a mean and a variance, and code to classes.

    InfoGCN (Chi et al., CVPR 2022), Sec. 3.2; model/infogcn.py: a layer with ReLU, then one layer for the mean and
    one for the log-variance of each number of the code, and a linear layer for the classes.

    Args:
        config: options.
        features: numbers a clip.
        num_classes: K.

    Attributes:
        prior: (K, dim), fixed; what the codes of each class are drawn towards.

    Shape:
        (N, features) -> (N, K) logits, of the codes' means
    """

    def __init__(self, config: BottleneckConfig, features: int, num_classes: int) -> None:
        super().__init__()
        self.noise = config.noise
        self.hidden = nn.Sequential(nn.Linear(features, config.dim), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(config.dim, config.dim), nn.Linear(config.dim, config.dim)
        self.decoder = nn.Linear(config.dim, num_classes)
        for layer in (self.mean, self.log_variance):
            nn.init.xavier_uniform_(layer.weight)
        self.prior: Tensor
        self.register_buffer("prior", nn.init.orthogonal_(torch.empty(num_classes, config.dim), config.prior_gain))

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.decoder(self.mean(self.hidden(features)))
        return logits

    def sample(self, features: Tensor, rng: Rng) -> Tensor:
        """Codes (N, dim) drawn with their variance: mean + standard normal * min(exp(r log-variance), 100)."""
        hidden = self.hidden(features)
        mean: Tensor = self.mean(hidden)
        deviation = (self.noise * self.log_variance(hidden).float()).exp().clamp(max=100)
        return mean + rng.normal(mean.shape[1]) * deviation

    def divergence(self, codes: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """How far codes (N, dim) with labels (N,) are from their priors, and all from zero; two scalars.

        The maximum mean discrepancies of Sec. 3.2 with a linear kernel, as in the released code, loss.py: mean square
        of the difference between the mean code of each class in the batch and its prior; length of the mean of all.
        """
        count = codes.new_zeros(len(self.prior)).index_add(0, label, torch.ones_like(codes[:, 0]))
        means = torch.zeros_like(self.prior).index_add(0, label, codes) / count.clamp(min=1)[:, None]
        apart = (means - self.prior).square().mean(1)
        there = (count > 0).to(apart)
        return (apart * there).sum() / there.sum(), codes.mean(0).norm()


class BottleneckClassifier(Classifier):
    """Cross-entropy of noisy codes, plus what keeps them near their class's prior and around zero.

    InfoGCN (Chi et al., CVPR 2022), Eq. 9 and loss.py. Both distances compare clips with each other: where several
    processes share a batch, each draws its own clips' codes and the loss is of them all, as in one process.

    Args:
        encoder: made part of this module.
        num_classes: classes of the store.
        config: options.
        label_smoothing: as in ``Classifier`` (InfoGCN: 0.1).
    """

    head: Bottleneck  # type: ignore[assignment]  # Classifier has a sequence of layers here

    def __init__(
        self, encoder: SkeletonEncoder, num_classes: int, config: BottleneckConfig, *, label_smoothing: float
    ) -> None:
        super().__init__(encoder, num_classes, frozen=False, label_smoothing=label_smoothing)
        self.config = config
        self.head = Bottleneck(config, encoder.dim, num_classes)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars over the clips of all processes; labels must be known.

        ``loss`` is the sum of ``cross_entropy`` and the weighted ``conditional`` and ``marginal``; ``accuracy`` is
        that of the noisy codes.
        """
        (codes, _), (label, _) = gather(self.head.sample(self._features(batch), batch.rng)), gather(batch.label)
        logits = self.head.decoder(codes)
        conditional, marginal = self.head.divergence(codes, label)
        cross_entropy = F.cross_entropy(logits, label, label_smoothing=self.label_smoothing)
        return {
            "loss": cross_entropy + self.config.conditional * conditional + self.config.marginal * marginal,
            "cross_entropy": cross_entropy,
            "conditional": conditional,
            "marginal": marginal,
            "accuracy": (logits.argmax(1) == label).float().mean(),
        }
