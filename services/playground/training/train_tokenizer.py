"""Learns the byte-pair vocabulary: 3 special tokens, 256 bytes, 253 merges. Digits never merge, so amounts can be copied.

Usage: python3 train_tokenizer.py SAMPLE.jsonl tokenizer.json
"""
import collections
import json
import re
import sys

VOCABULARY_SIZE = 512
SPECIALS = ["<|user|>", "<|assistant|>", "<|end|>"]
LETTER = r"[^\W\d_]"
# The server cuts text with the same rule, see src/engine/tokenizer.ts.
PIECES = re.compile(rf" ?{LETTER}+|\d|(?:(?!{LETTER}|\d| {LETTER})[\s\S])+|[\s\S]")


def count_pieces(path):
    counts = collections.Counter()
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            sample = json.loads(line)
            for text in (sample["text"], sample["answer"]):
                counts.update(PIECES.findall(text))
    return counts


def merge_pair(symbols, pair, merged):
    out, i = [], 0
    while i < len(symbols):
        if i + 1 < len(symbols) and (symbols[i], symbols[i + 1]) == pair:
            out.append(merged)
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


def learn_merges(counts, how_many):
    first_byte = len(SPECIALS)
    words = [([first_byte + b for b in piece.encode("utf-8")], n) for piece, n in sorted(counts.items())]
    merges, next_id = [], first_byte + 256
    while len(merges) < how_many:
        pairs = collections.Counter()
        for symbols, n in words:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += n
        # Ties go to the smaller ids, so that the same sample always gives the same vocabulary.
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(list(best))
        words = [(merge_pair(symbols, best, next_id), n) for symbols, n in words]
        next_id += 1
    return merges


def main():
    sample_path, out_path = sys.argv[1:3]
    merges = learn_merges(count_pieces(sample_path), VOCABULARY_SIZE - len(SPECIALS) - 256)
    with open(out_path, "w", encoding="utf-8") as out:
        json.dump({"version": 1, "specials": SPECIALS, "merges": merges}, out)
        out.write("\n")


if __name__ == "__main__":
    main()
