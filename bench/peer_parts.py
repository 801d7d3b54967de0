"""Parts of training and generation in PyTorch, each timed alone: loading, AdamW's update, greedy generation with a cache of keys and values.

    python3 peer_parts.py load|optimizer|generate MODEL_DIR [--repeats 3] [--threads 2]

Prints one line of JSON with the median of seconds, in the fields of the `npm run bench` commands of the same names.
"""
import argparse
import json
import time

import torch
from peer import Llama, read_weights


def median_seconds(repeats, work):
    """Of `repeats` runs, after one that does not count."""
    seconds = []
    for repeat in range(repeats + 1):
        began = time.perf_counter()
        result = work()
        if repeat:
            seconds.append(time.perf_counter() - began)
    return sorted(seconds)[len(seconds) // 2], result


def load(options):
    seconds, _ = median_seconds(options.repeats, lambda: read_weights(options.model))
    return {"seconds": seconds}


def optimizer(options):
    weights = [t.requires_grad_() for t in read_weights(options.model).values()]
    for t in weights:
        t.grad = torch.full_like(t, 1e-3)
    adamw = torch.optim.AdamW(weights, lr=1e-6, weight_decay=0.01)
    seconds, _ = median_seconds(options.repeats, adamw.step)
    return {"seconds": seconds}


@torch.no_grad()
def generate(options):
    with open(f"{options.model}/config.json") as file:
        model = Llama(json.load(file), read_weights(options.model))
    prompt = json.loads(options.prompt)

    def run():
        cache, ids, tokens = {}, torch.tensor([prompt]), []
        while len(tokens) < options.new:
            padding = torch.zeros(1, len(prompt) + len(tokens), dtype=torch.bool)
            tokens.append(model.log_probabilities(ids, padding, cache)[0, -1].argmax().item())
            ids = torch.tensor([tokens[-1:]])
        return tokens

    seconds, tokens = median_seconds(options.repeats, run)
    return {"seconds": seconds, "tokensPerSecond": options.new / seconds, "tokens": tokens}


def main():
    parts = {"load": load, "optimizer": optimizer, "generate": generate}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=parts)
    parser.add_argument("model")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", default="[0]", help="token ids as JSON")
    parser.add_argument("--new", type=int, default=128, help="tokens to generate")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(json.dumps(parts[options.part](options)))


if __name__ == "__main__":
    main()
