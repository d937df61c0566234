"""Teaches a model the first token of an answer's first value, where it stands still guessing, and nothing else.

Usage: OPENBLAS_NUM_THREADS=1 python3 open_answer.py NAME DIRECTORY
Changes DIRECTORY/NAME.checkpoint.pt, whose step stays; what this makes it forget comes back within some hundred steps.

After 2,400 steps the expert for orders wrote one of the four prefixes of a number by chance (a loss of log 4, probabilities
of .22 to .29) while it copied all else: among 84 tokens the one whose loss had no slope yet did not set the direction of
any step. Alone it falls from 1.39 to below .15 within 230 steps.
"""
import os
import sys

import numpy as np
import torch
from torch.nn import functional as F

from model import SHAPES, Decoder
from train import Documents, Muon

# `{"`, `number`, `":"` come before it.
TOKENS_BEFORE = 3
STEPS = 300
DOCUMENTS = 16
# A part of the rate of train.py.
RATE = 0.3
# Documents that the training has not come to.
FIRST_DOCUMENT = 100_000
LEARNT = 0.15


def first_value_loss(model, documents, indices):
    window, targets, answers = documents.batch(indices)
    picked = torch.zeros_like(targets, dtype=torch.bool)
    picked[torch.arange(len(indices)), torch.from_numpy(answers) + TOKENS_BEFORE] = True
    return F.cross_entropy(model.logits(model.hidden(window, picked)), targets[picked])


def main():
    name, directory = sys.argv[1:3]
    torch.set_num_threads(1)
    torch.manual_seed(1)
    path = os.path.join(directory, f"{name}.checkpoint.pt")
    saved = torch.load(path)
    model = Decoder(SHAPES[name])
    model.load_state_dict(saved["model"])
    matrices = [p for p in model.layers.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if not any(p is m for m in matrices)]
    muon = Muon(matrices, lr=0.02 * RATE)
    adam = torch.optim.AdamW(others, lr=0.003 * RATE, betas=(0.9, 0.95), weight_decay=0.0)
    documents = Documents(os.path.dirname(path), "train")
    documents.lengths = documents.prompts + TOKENS_BEFORE + 2
    batches = documents.batches(FIRST_DOCUMENT, DOCUMENTS)
    losses = []
    for step in range(STEPS):
        for group in muon.param_groups:
            group["lr"] = 0.02 * RATE * min(1.0, (step + 1) / 20)
        loss = first_value_loss(model, documents, next(batches))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        muon.step()
        adam.step()
        model.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if (step + 1) % 20 == 0:
            print(step + 1, round(float(np.mean(losses[-20:])), 4), flush=True)
        if len(losses) > 40 and np.mean(losses[-20:]) < LEARNT:
            break
    saved["model"] = model.state_dict()
    torch.save(saved, path)


if __name__ == "__main__":
    main()
