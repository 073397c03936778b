"""Layer-wise learning-rate decay: the nearer to the input, the slower a pretrained part learns."""

from __future__ import annotations

from typing import Any

from finetune.classifiers.linear import Classifier


def layer_groups(task: Classifier, weight_decay: float, decay: float) -> list[dict[str, Any]]:
    """Parameter groups for ``fit``: stage i of S learns at ``decay ** (S - i)`` of the rate, the head at all of it.

    MAE (He et al., CVPR 2022), fine-tuning, after BEiT (Bao et al., ICLR 2022); MAMP uses 0.8. Stages are those
    of ``Backbone.stages``; a network's ``final_norm`` counts as the head, as in their code (util/lr_decay.py).
    Biases and other 1-D parameters have no weight decay, as in ``make_optimizer``.

    Args:
        task: its encoder is not frozen; all parameters except the encoder's count as the head.
        weight_decay: of matrices and kernels.
        decay: factor from a stage to the one before it.
    """
    net = task.encoder.backbone
    final = net.final_norm()
    last = {id(parameter) for parameter in (() if final is None else final.parameters())}
    inside = {id(parameter) for parameter in task.encoder.parameters()} - last
    stages = [[p for p in stage.parameters() if id(p) not in last] for stage in net.stages()]
    stages[0] = [*net.recalibration.parameters(), *stages[0]]  # it stands in front of the network
    stages.append([parameter for parameter in task.parameters() if id(parameter) not in inside])
    groups: list[dict[str, Any]] = []
    grouped = 0
    for number, stage in enumerate(stages):
        parameters = [p for p in stage if p.requires_grad]
        grouped += len(parameters)
        for decays in (True, False):
            part = [p for p in parameters if (p.ndim > 1) == decays]
            if part:
                scale = decay ** (len(stages) - 1 - number)
                groups.append({"params": part, "weight_decay": weight_decay * decays, "lr_scale": scale})
    total = sum(p.requires_grad for p in task.parameters())
    assert grouped == total, "Backbone.stages must hold all parameters, each once"
    return groups
