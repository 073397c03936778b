"""Attention over few tokens in which every pair of positions has vectors of its own.

MPAE-Net (Zhang, Zhan & Wang, ACML 2024), Sec. 3.2. For one head of width d, from token j to i::

    w_i  = sigmoid(q_i.gate + bias)
    s_ij = (w_i * q_i.k_j + (1 - w_i) * (q_i.pq_ij + k_j.pk_ij)) / sqrt(d)
    y_i  = sigmoid(sum_j (softmax_j(s_ij) + graph_ij) * (v_j + pv_ij))

The gradient is written by hand. Terms that carry a position are products batched over i or j, so
nothing larger than the scores is ever made; and all of it, from the projection on, runs in sweeps
over a few frames that stay in a core's cache.

Shapes below: n frames, V tokens, H heads of width d, R = n * H rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Numbers a sweep may hold for each thread: much more leaves the cache, much less is all overhead. Measured
# 1.5 times as fast as one sweep over a whole batch. A GPU needs one sweep.
_SWEEP = 1 << 20


class Weights(NamedTuple):
    """What is learned; entry [i, j] is "from j to i". The heads share all but ``project`` and ``graph``."""

    project: Tensor  # (3 * H * d, D), to queries, keys and values; in each, heads one after the other
    query: Tensor  # pq (V, V, d)
    key: Tensor  # pk (V, V, d)
    value: Tensor  # pv (V, V, d)
    graph: Tensor  # (H, V, V)
    gate: Tensor  # (d,)
    bias: Tensor  # (1,)


class _Saved(NamedTuple):
    """What the gradient of one sweep needs."""

    qkv: Tensor  # (3, R, V, d)
    content: Tensor  # (R, V), w
    prob: Tensor  # (V_i, R, V_j), softmax of the scores


def position_attention(x: Tensor, weights: Weights) -> Tensor:
    """The equations above, q, k and v being projections of x: (n, V, D) -> (n, V, H * d)."""
    device, scale = x.device.type, weights.query.shape[-1] ** -0.5
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    to_query, rest = weights.project.split([len(weights.project) // 3, len(weights.project) // 3 * 2])
    scaled = weights._replace(  # so that no score has to be: queries and key vectors come divided
        project=torch.cat([to_query * scale, rest]),
        key=weights.key * scale,
        graph=weights.graph.transpose(0, 1).contiguous(),  # (V, H, V), as scores are laid out
        gate=weights.gate / scale,
    )
    return _PositionAttention.apply(x.to(dtype), *(weight.to(dtype) for weight in scaled))


@torch.no_grad()
def attention_maps(x: Tensor, weights: Weights) -> Tensor:
    """softmax_j(s_ij) of the equations above, to look at: (n, V, D) -> (n, H, V_i, V_j), each row summing to 1."""
    tokens, heads, width = len(weights.query), len(weights.graph), weights.query.shape[-1]
    q, k, _ = (x @ weights.project.T).view(len(x), tokens, 3, heads, width).permute(2, 0, 3, 1, 4)
    content = (q @ weights.gate + weights.bias).sigmoid()[..., None]
    placed = torch.einsum("nhid,ijd->nhij", q, weights.query) + torch.einsum("nhjd,ijd->nhij", k, weights.key)
    score = content * (q @ k.transpose(2, 3)) + (1 - content) * placed
    return (score * width**-0.5).softmax(-1)


class _PositionAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *given: Tensor) -> Tensor:
        weights = Weights(*given)
        tokens, heads = weights.graph.shape[0], weights.graph.shape[1]
        held = 3 * tokens * (heads * tokens + len(weights.project))  # scores, queries and so on, about thrice
        whole = x.device.type != "cpu" or torch.compiler.is_exporting()  # a graph for any batch size cannot be cut
        ctx.sweep = x.shape[0] if whole else max(1, _SWEEP * torch.get_num_threads() // held)
        out = x.new_empty(x.shape[0], tokens, heads, weights.query.shape[-1])
        saved: list[Tensor] = []
        with torch.autocast(x.device.type, enabled=False):
            cut = [(x, out)] if whole else list(zip(x.split(ctx.sweep), out.split(ctx.sweep), strict=True))
            for piece, into in cut:
                saved += _forward(piece, into, weights)
        ctx.save_for_backward(x, out, *weights, *saved)
        return out.flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        x, out, *rest = ctx.saved_tensors
        weights, saved = Weights(*rest[:7]), rest[7:]
        sweeps = [_Saved(*saved[at : at + 3]) for at in range(0, len(saved), 3)]
        d_x, d_weights = torch.empty_like(x), Weights(*(torch.zeros_like(weight) for weight in weights))
        d_qkv = out.new_empty(min(ctx.sweep, len(x)), out.shape[1], 3, *out.shape[2:])
        with torch.autocast(x.device.type, enabled=False):
            pieces = [y.split(ctx.sweep) for y in (grad.reshape(out.shape), out, x, d_x)]
            for number, sweep in enumerate(sweeps):
                d_piece, o_piece, x_piece, dx_piece = (piece[number] for piece in pieces)
                _backward(d_qkv, d_piece, o_piece, x_piece, dx_piece, sweep, weights, d_weights)
        return d_x, *d_weights


def _forward(x: Tensor, out: Tensor, weights: Weights) -> _Saved:
    """One sweep: (n, V, D); fills ``out`` (n, V, H, d)."""
    tokens, width, by_head = out.shape[1], out.shape[3], out.transpose(1, 2)
    qkv = torch.mm(x.flatten(0, 1), weights.project.T).view(x.shape[0], tokens, 3, -1, width)
    rows = qkv.permute(2, 0, 3, 1, 4).clone(memory_format=torch.contiguous_format).view(3, -1, tokens, width)
    q, k, v = rows
    content = torch.matmul(q, weights.gate).add_(weights.bias).sigmoid_()
    by_content, placed = _split(q, content)

    keyed = torch.bmm(k.transpose(0, 1), weights.key.permute(1, 2, 0)).permute(2, 1, 0)  # (V_i, R, V_j)
    seen = torch.bmm(by_content, k.transpose(1, 2)).transpose(0, 1)  # (V_i, R, V_j)
    score = torch.addcmul(seen, keyed, (1 - content).T[..., None], out=x.new_empty(seen.shape))
    score.baddbmm_(placed.transpose(0, 1), weights.query.transpose(1, 2))
    prob = torch.softmax(score, -1)

    spread = _add_graph(prob, weights.graph)
    by_head.copy_(_narrow(spread.transpose(0, 1), v).view(by_head.shape))
    by_head.add_(_narrow(spread, weights.value).transpose(0, 1).view(by_head.shape))
    out.sigmoid_()
    return _Saved(rows, content, prob)


def _backward(
    d_qkv: Tensor,
    grad: Tensor,
    out: Tensor,
    x: Tensor,
    d_x: Tensor,
    saved: _Saved,
    weights: Weights,
    d_weights: Weights,
) -> None:
    """Gradient of one sweep: fills ``d_x`` (n, V, D), adds to ``d_weights``; ``d_qkv`` is scratch."""
    (q, k, v), content, prob = saved
    by_content, placed = _split(q, content)
    d_q, d_k, d_v = d_qkv[: len(x)].permute(2, 0, 3, 1, 4)  # (n, H, V, d) each
    shape = d_q.shape
    grad = torch.ops.aten.sigmoid_backward(grad, out).transpose(1, 2).reshape(q.shape)
    grad_i, k_j = grad.transpose(0, 1), k.transpose(0, 1)

    spread = _add_graph(prob, weights.graph)
    d_v.copy_(_narrow(spread.permute(1, 2, 0), grad).view(shape))
    d_weights.value.add_(_narrow(spread.transpose(1, 2), grad_i))
    d_spread = torch.bmm(grad_i, weights.value.transpose(1, 2))
    d_spread.add_(torch.bmm(grad, v.transpose(1, 2)).transpose(0, 1))
    d_weights.graph.add_(d_spread.unflatten(1, shape[:2]).sum(1))
    d_score = torch.ops.aten._softmax_backward_data(d_spread, prob, -1, prob.dtype)  # (V_i, R, V_j)

    to_key = _narrow(d_score.permute(1, 2, 0), by_content)
    d_keyed = x.new_empty(d_score.shape)  # (V_j, R, V_i)
    torch.mul(d_score.permute(2, 1, 0), 1 - content, out=d_keyed)
    to_key_placed = _narrow(d_keyed, weights.key.transpose(0, 1)).transpose(0, 1)
    torch.add(to_key.view(shape), to_key_placed.unflatten(0, shape[:2]), out=d_k)
    d_weights.key.add_(_narrow(d_keyed.transpose(1, 2), k_j).transpose(0, 1))
    of_keyed = torch.bmm(k_j, weights.key.permute(1, 2, 0)).mul_(d_keyed).sum(0)  # times 1 - w

    d_weights.query.add_(_narrow(d_score.transpose(1, 2), placed.transpose(0, 1)))
    of_placed = _narrow(d_score, weights.query).transpose(0, 1).contiguous()
    more = torch.sub(_narrow(d_score.transpose(0, 1), k), of_placed, out=torch.empty_like(q))  # content minus position
    d_logit = torch.sum(more * q, -1).mul_(1 - content).sub_(of_keyed).mul_(content)
    d_weights.gate.add_(torch.mv(q.flatten(0, 1).T, d_logit.flatten()))
    d_weights.bias.add_(d_logit.sum())
    of_placed.addcmul_(d_logit[..., None], weights.gate).addcmul_(more, content[..., None])
    d_q.copy_(of_placed.view(shape))

    flat = d_qkv[: len(x)].view(-1, len(weights.project))
    torch.mm(flat, weights.project, out=d_x.view(-1, x.shape[-1]))
    d_weights.project.addmm_(flat.T, x.flatten(0, 1))


def _split(q: Tensor, content: Tensor) -> tuple[Tensor, Tensor]:
    """Queries times w, for content, and times 1 - w, for position."""
    by_content = q * content[..., None]
    return by_content, q - by_content


def _add_graph(prob: Tensor, graph: Tensor) -> Tensor:
    """Add (V, H, V) to (V_i, R, V_j)."""
    return (prob.view(len(graph), -1, graph[0].numel()) + graph.flatten(1)[:, None]).view_as(prob)


def _narrow(a: Tensor, b: Tensor) -> Tensor:
    """Batched a @ b; where that has few columns, by its transpose, which a CPU computes up to four times as fast."""
    return torch.bmm(b.mT, a.mT).mT if b.shape[2] < 16 else torch.bmm(a, b)
