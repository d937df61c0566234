"""Trains one of the models in model.py. Same steps, same seeds, same data: the same weights on the same machine.

Usage: OPENBLAS_NUM_THREADS=1 python3 train.py NAME DIRECTORY [--steps N] [--until N]
Goes on from DIRECTORY/NAME.checkpoint.pt when there is one.
"""
import argparse
import dataclasses
import json
import os
import time

import numpy as np
import torch
from torch.nn import functional as F

from model import END, LOOK_BACK, SHAPES, Decoder

# The document itself is only predicted at first, to learn the language: later its loss, which cannot fall, is six times
# the answer's and would set the direction of every step. It is computed on every fourth token and counts four times.
DOCUMENT_WEIGHT = 0.05
DOCUMENT_STRIDE = 4


@dataclasses.dataclass(frozen=True)
class Plan:
    steps: int
    # Per step.
    documents: int = 32
    # For how many steps the document is predicted, too.
    document_steps: int = 2000


# An order has ten values to learn from where another document has three: half as many documents make as good a step.
PLANS = {
    "drafter": Plan(steps=6800),
    "expert": Plan(steps=12000),
    "orders/drafter": Plan(steps=5200, documents=16, document_steps=1200),
    "orders/expert": Plan(steps=6400, documents=16, document_steps=1200),
}

# A run of 16 batches is drawn together, and a checkpoint between two such runs goes on exactly as without it.
CHECKPOINT_STEPS = 80
EXACT_MATCH_STEPS = 400


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal by five Newton-Schulz iterations; matrices of one shape go together."""

    def __init__(self, matrices, lr, momentum=0.95):
        super().__init__(matrices, dict(lr=lr, momentum=momentum))

    @staticmethod
    def orthogonalise(stack):
        x = stack / (stack.norm(dim=(1, 2), keepdim=True) + 1e-7)
        flipped = x.shape[1] > x.shape[2]
        if flipped:
            x = x.transpose(1, 2)
        for _ in range(5):
            gram = x @ x.transpose(1, 2)
            x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
        return x.transpose(1, 2) if flipped else x

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                shapes.setdefault(tuple(p.shape), []).append(p)
            for (rows, columns), parameters in shapes.items():
                updates = []
                for p in parameters:
                    state = self.state[p]
                    if "momentum" not in state:
                        state["momentum"] = torch.zeros_like(p)
                    state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                    updates.append(p.grad.lerp(state["momentum"], group["momentum"]))
                scale = max(1.0, rows / columns) ** 0.5
                for p, update in zip(parameters, self.orthogonalise(torch.stack(updates))):
                    p.mul_(1 - group["lr"] * 0.01).add_(update, alpha=-group["lr"] * scale)


class Documents:
    """Tokenised documents in the order in which they were generated; each is used once."""

    def __init__(self, directory, split):
        self.tokens = np.memmap(os.path.join(directory, f"{split}.tokens.u16"), dtype=np.uint16, mode="r")
        lengths = np.fromfile(os.path.join(directory, f"{split}.lengths.u16"), dtype=np.uint16).reshape(-1, 3)
        self.lengths, self.prompts, self.difficulty = (lengths[:, i].astype(np.int64) for i in range(3))
        self.starts = np.concatenate(([0], np.cumsum(self.lengths)[:-1]))

    def batch(self, indices):
        """Windows [B, LOOK_BACK + T], targets [B, T] and the position of the first answer token in each row."""
        width = int(self.lengths[indices].max())
        padded = np.full((len(indices), LOOK_BACK + width), END, dtype=np.int64)
        for row, i in enumerate(indices):
            padded[row, LOOK_BACK : LOOK_BACK + self.lengths[i]] = self.tokens[self.starts[i] : self.starts[i] + self.lengths[i]]
        rows = torch.from_numpy(padded)
        return rows[:, :-1], rows[:, LOOK_BACK + 1 :], self.prompts[indices] - 1

    def batches(self, first, documents):
        """Splits a run of documents into batches of similar length, in an order that does not follow length."""
        chunk_size = documents * 16
        generator = np.random.default_rng(first)
        while True:
            start = first % (len(self.lengths) - chunk_size + 1)
            chunk = start + np.argsort(self.lengths[start : start + chunk_size], kind="stable")
            for part in generator.permutation(16):
                yield chunk[part * documents : (part + 1) * documents]
            first += chunk_size


def loss_of(model, documents, indices, predicts_document, step):
    window, targets, answers = documents.batch(indices)
    width = targets.shape[1]
    column = torch.arange(width)[None, :]
    first = torch.from_numpy(answers)[:, None]
    last = torch.from_numpy(documents.lengths[indices])[:, None] - 1
    is_answer = (column >= first) & (column < last)
    is_document = (column < first) & (column % DOCUMENT_STRIDE == step % DOCUMENT_STRIDE)
    picked = is_answer | is_document if predicts_document else is_answer
    losses = F.cross_entropy(model.logits(model.hidden(window, picked)), targets[picked], reduction="none")
    answer = is_answer[picked].float()
    answer_loss = (losses * answer).sum() / answer.sum()
    weights = answer + (1 - answer) * DOCUMENT_WEIGHT * DOCUMENT_STRIDE
    return (losses * weights).sum() / answer.sum(), answer_loss.item()


@torch.no_grad()
def exact_match(model, documents, count):
    """Share of documents whose every answer token is the model's first choice: what greedy decoding gives."""
    model.eval()
    order = np.argsort(documents.lengths[:count], kind="stable")
    right = np.zeros(count, dtype=bool)
    for start in range(0, count, 64):
        indices = order[start : start + 64]
        window, targets, answers = documents.batch(indices)
        everywhere = torch.ones_like(targets, dtype=torch.bool)
        hit = model.logits(model.hidden(window, everywhere)).argmax(-1).view_as(targets).eq(targets).numpy()
        for row, i in enumerate(indices):
            right[i] = hit[row, answers[row] : documents.lengths[i] - 1].all()
    model.train()
    return right.mean()


def rate_at(step, steps, document_steps):
    """Rises over 100 steps and stays while the document is learnt; then falls from half of that to nothing.

    Half, because the answer's loss without it is noisier: at the full rate it rose by a tenth.
    """
    if step < document_steps:
        return min(1.0, (step + 1) / 100)
    return 0.5 * (steps - step) / (steps - document_steps)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("name", choices=SHAPES)
    arguments.add_argument("directory")
    arguments.add_argument("--steps", type=int, help="instead of those of the plan")
    arguments.add_argument("--until", type=int, help="stop at this step of the schedule, a multiple of CHECKPOINT_STEPS")
    arguments.add_argument("--rate", type=float, default=0.02)
    options = arguments.parse_args()
    plan = PLANS[options.name]
    steps = options.steps or plan.steps
    torch.set_num_threads(1)
    torch.manual_seed(1)
    model = Decoder(SHAPES[options.name])
    matrices = [p for p in model.layers.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if not any(p is m for m in matrices)]
    muon = Muon(matrices, lr=options.rate)
    adam = torch.optim.AdamW(others, lr=options.rate * 0.15, betas=(0.9, 0.95), weight_decay=0.0)
    print(json.dumps({"parameters": sum(p.numel() for p in model.parameters()), **dataclasses.asdict(plan), **vars(options), "steps": steps}), flush=True)
    path = os.path.join(options.directory, f"{options.name}.checkpoint.pt")
    first_step = 0
    if os.path.exists(path):
        saved = torch.load(path)
        model.load_state_dict(saved["model"])
        muon.load_state_dict(saved["muon"])
        adam.load_state_dict(saved["adam"])
        first_step = saved["step"]
    data = os.path.dirname(path)
    train, held_out = Documents(data, "train"), Documents(data, "calibration")
    batches = train.batches(first_step * plan.documents, plan.documents)
    started, running = time.time(), []
    for step in range(first_step, min(options.until or steps, steps)):
        rate = rate_at(step, steps, plan.document_steps)
        for group, base in ((muon.param_groups[0], options.rate), (adam.param_groups[0], options.rate * 0.15)):
            group["lr"] = base * rate
        loss, answer_loss = loss_of(model, train, next(batches), step < plan.document_steps, step)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        muon.step()
        adam.step()
        model.zero_grad(set_to_none=True)
        running.append(answer_loss)
        if (step + 1) % 100 == 0:
            line = {"step": step + 1, "loss": round(float(np.mean(running[-100:])), 4), "seconds": round(time.time() - started)}
            if (step + 1) % EXACT_MATCH_STEPS == 0:
                line["exact_match"] = round(float(exact_match(model, held_out, 512)), 4)
            print(json.dumps(line), flush=True)
        if (step + 1) % CHECKPOINT_STEPS == 0 or step + 1 == steps:
            state = {"model": model.state_dict(), "muon": muon.state_dict(), "adam": adam.state_dict(), "step": step + 1}
            torch.save(state, path + ".part")
            os.replace(path + ".part", path)


if __name__ == "__main__":
    main()
