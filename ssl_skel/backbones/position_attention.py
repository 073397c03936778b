"""Attention over few tokens in which every pair of positions has vectors of its own.

MPAE-Net (Zhang, Zhan & Wang, ACML 2024), Sec. 3.2. For one head of width d, from token j to i::

    s_ij = (w_i * q_i.k_j + (1 - w_i) * (q_i.pq_ij + k_j.pk_ij)) / sqrt(d)
    y_i  = sum_j (softmax_j(s_ij) + graph_ij) * (v_j + pv_ij)

The gradient is written by hand. Terms that carry a position are products batched over i or j, so
nothing larger than the scores is ever made, and the scores are met in pieces that fit a cache.

Shapes below: n frames, V tokens, H heads of width d, R = n * H rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Scores a sweep: 1 MiB of float32 stays in a core's cache, and was measured 1.5 times as fast as
# one sweep over a whole batch. A GPU wants one sweep.
_SWEEP = 1 << 18


class Tables(NamedTuple):
    """What is learned about pairs of positions; entry [i, j] is "from j to i"."""

    query: Tensor  # pq (V, V, d), shared by heads, as are the next two
    key: Tensor  # pk (V, V, d)
    value: Tensor  # pv (V, V, d)
    graph: Tensor  # (H, V, V)


class _Saved(NamedTuple):
    """What the gradient of one sweep needs."""

    qkv: Tensor  # (3, R, V, d)
    content: Tensor  # (R, V, 1), w / sqrt(d)
    place: Tensor  # (R, V, 1), (1 - w) / sqrt(d)
    prob: Tensor  # (V_i, R, V_j), softmax of the scores


def position_attention(qkv: Tensor, gate: Tensor, tables: Tables) -> Tensor:
    """The two equations above.

    Args:
        qkv: (n, V, 3 * H * d), queries, keys, values; in each, heads one after the other.
        gate: (n, V, H), w in [0, 1].
        tables: see ``Tables``.

    Returns:
        (n, V, H * d).
    """
    return _PositionAttention.apply(qkv, gate.to(qkv.dtype), *(table.to(qkv.dtype) for table in tables))


class _PositionAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, gate: Tensor, *weights: Tensor) -> Tensor:
        tables, (_, tokens, heads) = Tables(*weights), gate.shape
        ctx.sweep = max(1, _SWEEP // (heads * tokens**2)) if qkv.device.type == "cpu" else max(1, len(qkv))
        out = qkv.new_empty(*gate.shape, tables.query.shape[-1])
        saved: list[Tensor] = []
        with torch.autocast(qkv.device.type, enabled=False):
            for piece in zip(*(x.split(ctx.sweep) for x in (qkv, gate, out)), strict=True):
                saved += _forward(*piece, tables)
        ctx.save_for_backward(*tables, *saved)
        return out.flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        saved = ctx.saved_tensors
        tables, sweeps = Tables(*saved[:4]), [_Saved(*saved[at : at + 4]) for at in range(4, len(saved), 4)]
        heads, width = len(tables.graph), tables.query.shape[-1]
        grad = grad.unflatten(2, (heads, width))
        d_qkv = grad.new_empty(*grad.shape[:2], 3, heads, width)
        d_gate = grad.new_empty(grad.shape[:3])
        d_tables = Tables(*(torch.zeros_like(table) for table in tables))
        with torch.autocast(grad.device.type, enabled=False):
            for piece in zip(*(x.split(ctx.sweep) for x in (grad, d_qkv, d_gate)), sweeps, strict=True):
                _backward(*piece, tables, d_tables)
        return d_qkv.flatten(2), d_gate, *d_tables


def _forward(qkv: Tensor, gate: Tensor, out: Tensor, tables: Tables) -> _Saved:
    """One sweep; fills ``out`` (n, V, H, d)."""
    frames, tokens, heads, width = out.shape
    rows = qkv.view(frames, tokens, 3, heads, width).permute(2, 0, 3, 1, 4).reshape(3, -1, tokens, width)
    q, k, v = rows
    content = (gate * width**-0.5).transpose(1, 2).reshape(-1, tokens, 1)
    place = width**-0.5 - content
    score = torch.bmm((q * place).transpose(0, 1), tables.query.transpose(1, 2))  # (V_i, R, V_j)
    keyed = torch.bmm(k.transpose(0, 1), tables.key.permute(1, 2, 0))  # (V_j, R, V_i)
    score.add_(keyed.mul_(place.squeeze(2)).permute(2, 1, 0))
    score.add_(torch.bmm(q * content, k.transpose(1, 2)).transpose(0, 1))
    prob = torch.softmax(score, -1)
    weight = _add_graph(prob, tables.graph)
    by_head = out.transpose(1, 2)
    told, placed = torch.bmm(weight.transpose(0, 1), v), torch.bmm(weight, tables.value).transpose(0, 1)
    torch.add(told.view(by_head.shape), placed.unflatten(0, by_head.shape[:2]), out=by_head)
    return _Saved(rows, content, place, prob)


def _backward(grad: Tensor, d_qkv: Tensor, d_gate: Tensor, saved: _Saved, tables: Tables, d_tables: Tables) -> None:
    """Gradient of one sweep; fills ``d_qkv`` (n, V, 3, H, d) and ``d_gate``, adds to ``d_tables``."""
    (q, k, v), content, place, prob = saved
    d_q, d_k, d_v = d_qkv.permute(2, 0, 3, 1, 4)  # (n, H, V, d) each
    shape, width = d_q.shape, d_q.shape[-1]
    grad = grad.transpose(1, 2).reshape(q.shape)
    grad_i, k_j = grad.transpose(0, 1), k.transpose(0, 1)

    weight = _add_graph(prob, tables.graph)
    d_v.copy_(torch.bmm(weight.permute(1, 2, 0), grad).view(shape))
    d_tables.value.add_(torch.bmm(weight.transpose(1, 2), grad_i))
    d_weight = torch.bmm(grad_i, tables.value.transpose(1, 2))
    d_weight.add_(torch.bmm(grad, v.transpose(1, 2)).transpose(0, 1))
    d_tables.graph.add_(d_weight.unflatten(1, shape[:2]).sum(1).transpose(0, 1))

    d_score = torch._softmax_backward_data(d_weight, prob, -1, prob.dtype)  # (V_i, R, V_j)
    of_content = torch.bmm(d_score.transpose(0, 1), k)
    of_place = torch.bmm(d_score, tables.query).transpose(0, 1)
    d_tables.query.add_(torch.bmm(d_score.transpose(1, 2), (q * place).transpose(0, 1)))
    torch.add((of_content * content).view(shape), (of_place * place).view(shape), out=d_q)

    to_key = torch.bmm(d_score.permute(1, 2, 0), q * content)
    d_keyed = d_score.permute(2, 1, 0).contiguous()  # (V_j, R, V_i)
    of_keyed = torch.bmm(k_j, tables.key.permute(1, 2, 0)).mul_(d_keyed).sum(0)
    d_keyed.mul_(place.squeeze(2))
    to_key_placed = torch.bmm(d_keyed, tables.key.transpose(0, 1)).transpose(0, 1)
    d_tables.key.add_(torch.bmm(d_keyed.transpose(1, 2), k_j).transpose(0, 1))
    torch.add(to_key.view(shape), to_key_placed.unflatten(0, shape[:2]), out=d_k)

    of_gate = ((of_content - of_place) * q).sum(-1).sub_(of_keyed).mul_(width**-0.5)
    d_gate.transpose(1, 2).copy_(of_gate.view(shape[:3]))


def _add_graph(prob: Tensor, graph: Tensor) -> Tensor:
    """Add (H, V, V) to (V_i, R, V_j)."""
    heads, tokens = graph.shape[:2]
    flat = graph.transpose(0, 1).reshape(tokens, 1, heads * tokens)
    return (prob.view(tokens, -1, heads * tokens) + flat).view_as(prob)
