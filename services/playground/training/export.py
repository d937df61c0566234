"""Writes a trained checkpoint as ONNX with its key-value cache as input and output, float32.

Usage: python3 export.py NAME DIRECTORY WEIGHTS     (the names are in model.py)
Also writes NAME.probe.json into DIRECTORY: one input and the logits that PyTorch gives, for the engine to be checked against.
"""
import json
import os
import sys

import torch

from model import END, LOOK_BACK, SHAPES, Cached, Decoder


def empty_past(shape, batch, columns):
    return torch.zeros(batch, 2 * shape.layers, shape.heads, columns, shape.width // shape.heads)


def write_probe(cached, shape, path):
    generator = torch.Generator().manual_seed(7)
    tokens = torch.randint(3, shape.vocabulary, (1, 24), generator=generator)
    window = torch.cat((torch.full((1, LOOK_BACK), END), tokens), dim=1)
    with torch.no_grad():
        logits, _ = cached(window, torch.zeros(1, dtype=torch.int64), empty_past(shape, 1, 1))
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"tokens": tokens[0].tolist(), "last_logits": logits[0, -1].tolist()}, out)


def main():
    name, directory, weights = sys.argv[1:4]
    shape = SHAPES[name]
    decoder = Decoder(shape)
    saved = torch.load(os.path.join(directory, f"{name}.checkpoint.pt"))
    decoder.load_state_dict(saved["model"])
    cached = Cached(decoder).eval()
    window = torch.full((2, LOOK_BACK + 3), END)
    past_length = torch.tensor([4, 2])
    path = os.path.join(weights, f"{name}.onnx")
    torch.onnx.export(
        cached,
        (window, past_length, empty_past(shape, 2, 5)),
        path,
        opset_version=16,
        input_names=["window", "past_length", "past"],
        output_names=["logits", "fresh"],
        dynamic_axes={
            "window": {0: "batch", 1: "window_tokens"},
            "past_length": {0: "batch"},
            "past": {0: "batch", 3: "past_tokens"},
            "logits": {0: "batch", 1: "new_tokens"},
            "fresh": {0: "batch", 3: "new_tokens"},
        },
    )
    write_probe(cached, shape, os.path.join(directory, f"{name}.probe.json"))
    described = {
        "version": 1,
        "steps": saved["step"],
        "layers": shape.layers,
        "heads": shape.heads,
        "headWidth": shape.width // shape.heads,
        "vocabulary": shape.vocabulary,
        "contextTokens": shape.context_tokens,
        "lookBack": LOOK_BACK,
        "parameters": sum(p.numel() for p in decoder.parameters()),
    }
    with open(os.path.join(weights, f"{name}.json"), "w", encoding="utf-8") as out:
        json.dump(described, out, indent=2)
        out.write("\n")
    print(json.dumps({**described, "bytes": os.path.getsize(path)}))


if __name__ == "__main__":
    main()
