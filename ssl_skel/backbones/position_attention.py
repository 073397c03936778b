"""Attention over few tokens in which every pair of positions has vectors of its own.

MPAE-Net (Zhang, Zhan & Wang, ACML 2024), Sec. 3.2. For one head of width d, from token j to i::

    w_i  = sigmoid(q_i.gate + bias)
    s_ij = (w_i * q_i.k_j + (1 - w_i) * (q_i.pq_ij + k_j.pk_ij)) / sqrt(d)
    y_i  = sum_j (softmax_j(s_ij) + graph_ij) * (v_j + pv_ij)

The gradient is written by hand. Terms that carry a position are products batched over i or j, so
nothing larger than the scores is ever made, and the scores are met in sweeps that fit a cache.

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
    """What is learned; entry [i, j] is "from j to i". All but ``graph`` are shared by the heads."""

    query: Tensor  # pq (V, V, d)
    key: Tensor  # pk (V, V, d)
    value: Tensor  # pv (V, V, d)
    graph: Tensor  # (H, V, V)
    gate: Tensor  # (d,)
    bias: Tensor  # (1,)


class _Saved(NamedTuple):
    """What the gradient of one sweep needs. Queries are divided by sqrt(d)."""

    qkv: Tensor  # (3, R, V, d)
    split: Tensor  # (2, R, V, d), queries times w and times 1 - w
    weight: Tensor  # (R, V, 1), w
    prob: Tensor  # (V_i, R, V_j), softmax of the scores


def position_attention(qkv: Tensor, tables: Tables) -> Tensor:
    """The equations above: (n, V, 3 * H * d) -> (n, V, H * d).

    Args:
        qkv: queries, keys, values; in each, heads one after the other.
        tables: see ``Tables``.
    """
    return _PositionAttention.apply(qkv, *(table.to(qkv.dtype) for table in tables))


class _PositionAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, *weights: Tensor) -> Tensor:
        tables = Tables(*weights)
        heads, tokens = tables.graph.shape[:2]
        ctx.sweep = max(1, _SWEEP // (heads * tokens**2)) if qkv.device.type == "cpu" else max(1, len(qkv))
        out = qkv.new_empty(len(qkv), tokens, heads, tables.query.shape[-1])
        saved: list[Tensor] = []
        with torch.autocast(qkv.device.type, enabled=False):
            for piece in zip(qkv.unflatten(2, (3, *out.shape[2:])).split(ctx.sweep), out.split(ctx.sweep), strict=True):
                saved += _forward(*piece, tables)
        ctx.save_for_backward(*tables, *saved)
        return out.flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        tables, saved = Tables(*ctx.saved_tensors[:6]), ctx.saved_tensors[6:]
        sweeps = [_Saved(*saved[at : at + 4]) for at in range(0, len(saved), 4)]
        grad = grad.unflatten(2, (len(tables.graph), -1))
        d_qkv = grad.new_empty(*grad.shape[:2], 3, *grad.shape[2:])
        d_tables = Tables(*(torch.zeros_like(table) for table in tables))
        with torch.autocast(grad.device.type, enabled=False):
            for piece in zip(grad.split(ctx.sweep), d_qkv.split(ctx.sweep), sweeps, strict=True):
                _backward(*piece, tables, d_tables)
        return d_qkv.flatten(2), *d_tables


def _forward(qkv: Tensor, out: Tensor, tables: Tables) -> _Saved:
    """One sweep: (n, V, 3, H, d); fills ``out`` (n, V, H, d)."""
    tokens, width = out.shape[1], out.shape[3]
    rows = qkv.permute(2, 0, 3, 1, 4).clone(memory_format=torch.contiguous_format).view(3, -1, tokens, width)
    q, k, v = rows
    weight = torch.matmul(q, tables.gate).add_(tables.bias).sigmoid_()  # (R, V)
    q.mul_(width**-0.5)
    split = torch.stack([q, q])
    torch.sub(q, split[0].mul_(weight[..., None]), out=split[1])

    score = torch.bmm(split[1].transpose(0, 1), tables.query.transpose(1, 2))  # (V_i, R, V_j)
    keyed = torch.bmm(k.transpose(0, 1), (tables.key * width**-0.5).permute(1, 2, 0))  # (V_j, R, V_i)
    score.add_(keyed.mul_(1 - weight).permute(2, 1, 0))
    score.add_(torch.bmm(split[0], k.transpose(1, 2)).transpose(0, 1))
    prob = torch.softmax(score, -1)

    spread = _add_graph(prob, tables.graph)
    by_head = out.transpose(1, 2)  # (n, H, V, d)
    told, placed = torch.bmm(spread.transpose(0, 1), v), torch.bmm(spread, tables.value).transpose(0, 1)
    torch.add(told.view(by_head.shape), placed.unflatten(0, by_head.shape[:2]), out=by_head)
    return _Saved(rows, split, weight, prob)


def _backward(grad: Tensor, d_qkv: Tensor, saved: _Saved, tables: Tables, d_tables: Tables) -> None:
    """Gradient of one sweep: (n, V, H, d); fills ``d_qkv`` (n, V, 3, H, d), adds to ``d_tables``."""
    (q, k, v), split, weight, prob = saved
    d_q, d_k, d_v = d_qkv.permute(2, 0, 3, 1, 4)  # (n, H, V, d) each
    shape, scale = d_q.shape, d_q.shape[-1] ** -0.5
    grad = grad.transpose(1, 2).reshape(q.shape)
    grad_i, k_j = grad.transpose(0, 1), k.transpose(0, 1)

    spread = _add_graph(prob, tables.graph)
    d_v.copy_(torch.bmm(spread.permute(1, 2, 0), grad).view(shape))
    d_tables.value.add_(torch.bmm(spread.transpose(1, 2), grad_i))
    d_spread = torch.bmm(grad_i, tables.value.transpose(1, 2))
    d_spread.add_(torch.bmm(grad, v.transpose(1, 2)).transpose(0, 1))
    d_tables.graph.add_(d_spread.unflatten(1, shape[:2]).sum(1).transpose(0, 1))
    d_score = torch._softmax_backward_data(d_spread, prob, -1, prob.dtype)  # (V_i, R, V_j)

    to_key = torch.bmm(d_score.permute(1, 2, 0), split[0])
    d_keyed = d_score.permute(2, 1, 0).contiguous()  # (V_j, R, V_i)
    of_keyed = torch.bmm(k_j, tables.key.permute(1, 2, 0)).mul_(d_keyed).sum(0)
    d_keyed.mul_((1 - weight).mul_(scale))
    to_key_placed = torch.bmm(d_keyed, tables.key.transpose(0, 1)).transpose(0, 1)
    torch.add(to_key.view(shape), to_key_placed.unflatten(0, shape[:2]), out=d_k)
    d_tables.key.add_(torch.bmm(d_keyed.transpose(1, 2), k_j).transpose(0, 1))

    placed = torch.bmm(d_score, tables.query).transpose(0, 1)
    more = torch.bmm(d_score.transpose(0, 1), k).sub_(placed)  # content minus position
    d_logit = torch.sum(more * q, -1).sub_(of_keyed, alpha=scale).mul_(weight).mul_(1 - weight)
    d_tables.gate.add_(torch.mv(q.flatten(0, 1).T, d_logit.flatten()), alpha=1 / scale)
    d_tables.bias.add_(d_logit.sum())
    d_tables.query.add_(torch.bmm(d_score.transpose(1, 2), split[1].transpose(0, 1)))
    d_scaled = more.mul_(weight[..., None]).add_(placed).mul_(scale)
    torch.add(d_scaled.view(shape), (d_logit[..., None] * tables.gate).view(shape), out=d_q)


def _add_graph(prob: Tensor, graph: Tensor) -> Tensor:
    """Add (H, V, V) to (V_i, R, V_j)."""
    heads, tokens = graph.shape[:2]
    flat = graph.transpose(0, 1).reshape(tokens, 1, heads * tokens)
    return (prob.view(tokens, -1, heads * tokens) + flat).view_as(prob)
