"""A small llama-style decoder: RMSNorm, rotary positions, SwiGLU, tied embeddings, no biases.

One thing is its own: a token's embedding is the sum of its own and, from two further tables, those of the two tokens
before it. Copying an amount means finding what followed the same digits before; with the neighbours in the embedding a
model of two layers learns that in minutes, and the tables cost no arithmetic.
"""
import dataclasses
import math

import torch
from torch import nn
from torch.nn import functional as F

LOOK_BACK = 2
END = 2


@dataclasses.dataclass(frozen=True)
class Shape:
    width: int
    layers: int
    heads: int
    hidden: int
    vocabulary: int = 512
    context_tokens: int = 320


# A name is where a model's files lie, below the folder of the training data and below that of the weights.
SHAPES = {
    "drafter": Shape(width=48, layers=2, heads=2, hidden=128),
    "expert": Shape(width=128, layers=4, heads=4, hidden=320),
    "orders/drafter": Shape(width=48, layers=2, heads=2, hidden=128, context_tokens=416),
    "orders/expert": Shape(width=96, layers=3, heads=4, hidden=256, context_tokens=416),
}


def rotary_tables(head_width, context_tokens):
    frequencies = 1.0 / (1000.0 ** (torch.arange(0, head_width, 2).float() / head_width))
    angles = torch.outer(torch.arange(context_tokens).float(), frequencies)
    return angles.cos(), angles.sin()


def rotate(x, cos, sin):
    """Turns pairs (i, i + half) of x [B, H, T, D] by their positions' angles [B or 1, 1, T, D / 2]."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


class Layer(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.heads = shape.heads
        self.attention_norm = Norm(shape.width)
        self.query_key_value = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.attention_out = nn.Linear(shape.width, shape.width, bias=False)
        self.hidden_norm = Norm(shape.width)
        self.gate_and_value = nn.Linear(shape.width, 2 * shape.hidden, bias=False)
        self.hidden_out = nn.Linear(shape.hidden, shape.width, bias=False)
        nn.init.zeros_(self.attention_out.weight)
        nn.init.zeros_(self.hidden_out.weight)

    def attend(self, x, cos, sin, bias, past=None):
        """bias is added to the attention's scores; past is the keys and values [B, 2, H, P, D] of earlier tokens."""
        batch, tokens, width = x.shape
        qkv = self.query_key_value(self.attention_norm(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        fresh = None
        if past is not None:
            fresh = torch.stack((k, v), dim=1)
            k = torch.cat((past[:, 0], k), dim=2)
            v = torch.cat((past[:, 1], v), dim=2)
        scores = torch.matmul(q * (1.0 / math.sqrt(width // self.heads)), k.transpose(-1, -2)) + bias
        mixed = torch.matmul(scores.softmax(-1), v).transpose(1, 2).reshape(batch, tokens, width)
        return x + self.attention_out(mixed), fresh

    def transform(self, x):
        gate, value = self.gate_and_value(self.hidden_norm(x)).chunk(2, dim=-1)
        return x + self.hidden_out(F.silu(gate) * value)


class Decoder(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.before = nn.ModuleList(nn.Embedding(shape.vocabulary, shape.width) for _ in range(LOOK_BACK))
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = Norm(shape.width)
        for table in (self.embedding, *self.before):
            nn.init.normal_(table.weight, std=0.05)
        cos, sin = rotary_tables(shape.width // shape.heads, shape.context_tokens)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def embed(self, window):
        """window [B, LOOK_BACK + T]: the tokens with the two that came before the first of them."""
        tokens = window.shape[1] - LOOK_BACK
        x = self.embedding(window[:, LOOK_BACK:])
        for steps, table in enumerate(self.before, start=1):
            x = x + table(window[:, LOOK_BACK - steps : LOOK_BACK - steps + tokens])
        return x * 4.0

    def hidden(self, window, picked):
        """The last layer's output where `picked` [B, T] is true, for training: the rest of that layer is not computed.

        Padding stands on the right, so nothing sees it.
        """
        x = self.embed(window)
        tokens = x.shape[1]
        bias = torch.full((tokens, tokens), -1e9).triu(1)
        cos, sin = self.cos[:tokens], self.sin[:tokens]
        for i, layer in enumerate(self.layers):
            x, _ = layer.attend(x, cos, sin, bias)
            x = layer.transform(x[picked] if i + 1 == len(self.layers) else x)
        return self.norm(x)

    def logits(self, hidden):
        return F.linear(hidden, self.embedding.weight)


class Cached(nn.Module):
    """The decoder as it is exported: new tokens, and the keys and values of those before, row by row.

    window      int64 [B, LOOK_BACK + T]
    past_length int64 [B]                    how many columns of `past` count for each row; the rest is padding
    past        float [B, 2 * layers, H, P, D]
    → logits    float [B, T, vocabulary]
    → fresh     float [B, 2 * layers, H, T, D]   keys and values of the new tokens; the caller appends them
    """

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, window, past_length, past):
        decoder = self.decoder
        x = decoder.embed(window)
        order = torch.arange(x.shape[1], device=x.device)
        positions = past_length[:, None] + order[None, :]
        cos = decoder.cos[positions].unsqueeze(1)
        sin = decoder.sin[positions].unsqueeze(1)
        columns = torch.arange(past.shape[3], device=x.device)
        unused = (columns[None, :] >= past_length[:, None]).float()[:, None, None, :] * -1e9
        future = (order[None, :] > order[:, None]).float()[None, None] * -1e9
        # Both parts are stretched to [B, 1, T, P + T] by adding zeros of the other's shape.
        stretch = torch.zeros_like(positions, dtype=torch.float32)[:, None, :, None]
        bias = torch.cat((unused + stretch, future + stretch), dim=-1)
        fresh = []
        for i, layer in enumerate(decoder.layers):
            x, new = layer.attend(x, cos, sin, bias, past[:, 2 * i : 2 * i + 2])
            x = layer.transform(x)
            fresh.append(new)
        return decoder.logits(decoder.norm(x)), torch.cat(fresh, dim=1)
