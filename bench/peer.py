"""One preference training step in PyTorch, computed the plain way: every answer repeats its prompt, rows are padded, whole logits are kept.

    python3 peer.py MODEL_DIR BATCH.json [--objective tdpo2] [--jitter 0.01] [--steps 3] [--threads 2] [--lr 1e-6] [--lora 16] [--forward]

Prints one line of JSON with the fields of `npm run bench -- step`. Needs torch and numpy; reads a float32 Llama folder with one file of weights.
"""
import argparse
import json
import resource
import time

import numpy as np
import torch
from torch.nn import functional as F


def read_weights(folder):
    with open(f"{folder}/model.safetensors", "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header.pop("__metadata__", None)
        weights = {}
        for name, entry in header.items():
            assert entry["dtype"] == "F32", f"{name} is {entry['dtype']}"
            begin, end = entry["data_offsets"]
            file.seek(8 + size + begin)
            weights[name] = torch.from_numpy(np.frombuffer(file.read(end - begin), "<f4").copy()).view(entry["shape"])
    return weights


class Llama:
    def __init__(self, config, weights, adapters=None):
        self.config, self.weights, self.adapters = config, weights, adapters or {}
        self.heads = config["num_attention_heads"]
        self.groups = config.get("num_key_value_heads", self.heads)
        self.head_width = config.get("head_dim") or config["hidden_size"] // self.heads

    def norm(self, x, name):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.config["rms_norm_eps"]) * self.weights[name]

    def project(self, x, name):
        y = F.linear(x, self.weights[name])
        if name in self.adapters:
            down, up = self.adapters[name]
            y = y + 2.0 * F.linear(F.linear(x, down), up)
        return y

    def heads_of(self, x, name, count):
        rows, length, _ = x.shape
        return self.project(x, name).view(rows, length, count, self.head_width).transpose(1, 2)

    def log_probabilities(self, ids, padding, cache=None):
        """[rows, length, vocabulary] of ids [rows, length]; padding is true where there is no token. A cache is a dict that keeps keys and
        values: ids then continue what it has seen, and padding [rows, seen + length] covers both."""
        rows, length = ids.shape
        seen = cache[0][0].shape[2] if cache else 0
        exponent = torch.arange(0, self.head_width, 2).float() / self.head_width
        angle = torch.outer(torch.arange(seen, seen + length).float(), self.config["rope_theta"] ** -exponent).repeat(1, 2)
        cos, sin = angle.cos(), angle.sin()

        def rotate(x):
            left, right = x.chunk(2, -1)
            return x * cos + torch.cat([-right, left], -1) * sin

        future = torch.ones(length, seen + length, dtype=torch.bool).triu(seen + 1)
        hidden_from = torch.zeros(rows, 1, length, seen + length).masked_fill(future | padding[:, None, None, :], -1e30)
        x = self.weights["model.embed_tokens.weight"][ids]
        for layer in range(self.config["num_hidden_layers"]):
            p = f"model.layers.{layer}."
            h = self.norm(x, p + "input_layernorm.weight")
            query = rotate(self.heads_of(h, p + "self_attn.q_proj.weight", self.heads))
            key = rotate(self.heads_of(h, p + "self_attn.k_proj.weight", self.groups))
            value = self.heads_of(h, p + "self_attn.v_proj.weight", self.groups)
            if cache is not None:
                key, value = cache[layer] = tuple(torch.cat(both, 2) for both in zip(cache[layer], (key, value))) if seen else (key, value)
            key, value = (t.repeat_interleave(self.heads // self.groups, 1) for t in (key, value))
            weights = (query @ key.transpose(-1, -2) * self.head_width**-0.5 + hidden_from).softmax(-1)
            context = (weights @ value).transpose(1, 2).reshape(rows, length, -1)
            x = x + self.project(context, p + "self_attn.o_proj.weight")
            h = self.norm(x, p + "post_attention_layernorm.weight")
            gated = F.silu(self.project(h, p + "mlp.gate_proj.weight")) * self.project(h, p + "mlp.up_proj.weight")
            x = x + self.project(gated, p + "mlp.down_proj.weight")
        head = self.weights.get("lm_head.weight", self.weights["model.embed_tokens.weight"])
        return F.linear(self.norm(x, "model.norm.weight"), head).log_softmax(-1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("batch")
    parser.add_argument("--objective", choices=["dpo", "tdpo1", "tdpo2"], default="tdpo2")
    parser.add_argument("--beta", type=float, default=0.1)
    parser.add_argument("--alpha", type=float, default=0.5)
    parser.add_argument("--jitter", type=float, default=0.0)
    parser.add_argument("--lora", type=int, default=0, help="rank of adapters on every *_proj; the reference is the model without them")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--lr", type=float, default=0.0)
    parser.add_argument("--forward", action="store_true", help="score only: no gradients")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    with open(f"{options.model}/config.json") as file:
        config = json.load(file)
    start = read_weights(options.model)
    wave = lambda t: torch.sin(torch.arange(t.numel(), dtype=torch.float32)).view_as(t)
    if options.lora:
        shape = lambda f, *size: (0.01 * f(torch.arange(size[0] * size[1], dtype=torch.float32))).view(size).requires_grad_()
        adapters = {
            name: (shape(torch.sin, options.lora, t.shape[1]), shape(torch.cos, t.shape[0], options.lora))
            for name, t in start.items()
            if "_proj" in name
        }
        reference, policy = Llama(config, start), Llama(config, start, adapters)
        parameters = [t for pair in adapters.values() for t in pair]
    else:
        reference = Llama(config, {k: t * (1 + options.jitter * wave(t)) if options.jitter else t.clone() for k, t in start.items()})
        policy = Llama(config, {k: t.requires_grad_() for k, t in start.items()})
        parameters = list(policy.weights.values())
    optimizer = torch.optim.AdamW(parameters, lr=options.lr) if options.lr else None

    with open(options.batch) as file:
        pairs = json.load(file)["pairs"]
    count = len(pairs)
    rows = [(pair["prompt"], pair[side]) for side in ("chosen", "rejected") for pair in pairs]
    length = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    padding = torch.ones(len(rows), length, dtype=torch.bool)
    scored = torch.zeros(len(rows), length)
    for row, (prompt, answer) in enumerate(rows):
        end = len(prompt) + len(answer)
        ids[row, :end] = torch.tensor(prompt + answer)
        padding[row, :end] = False
        scored[row, len(prompt) : end] = 1

    first, seconds = None, []
    for step in range(options.steps + 1):
        began = time.perf_counter()
        torch.set_grad_enabled(not options.forward)
        ours = policy.log_probabilities(ids, padding)[:, :-1]
        with torch.no_grad():
            theirs = reference.log_probabilities(ids, padding)[:, :-1]
        labels, mask = ids[:, 1:, None], scored[:, 1:]
        ratio = ((ours.gather(2, labels) - theirs.gather(2, labels)).squeeze(2) * mask).sum(1)
        kl = ((theirs.exp() * (theirs - ours)).sum(2) * mask).sum(1)
        u = ratio[:count] - ratio[count:]
        if options.objective == "tdpo1":
            u = u - (kl[count:] - kl[:count])
        elif options.objective == "tdpo2":
            u = u - options.alpha * (kl[count:] - kl[:count].detach())
        loss = F.softplus(-options.beta * u).mean()
        norm = 0.0
        if not options.forward:
            loss.backward()
            norm = torch.stack([t.grad.norm() for t in parameters]).norm().item()
            if optimizer:
                torch.nn.utils.clip_grad_norm_(parameters, 10.0)
                optimizer.step()
        first = first or {"loss": loss.item(), "gradientNorm": norm, "sumLogRatio": ratio.tolist(), "seqKlReferencePolicy": kl.tolist()}
        for t in parameters:
            t.grad = None
        if step:
            seconds.append(round(time.perf_counter() - began, 3))
    median = sorted(seconds)[len(seconds) // 2]
    tokens = int((~padding).sum())
    print(json.dumps({
        "objective": options.objective, **first, "seconds": seconds, "secondsMedian": median, "tokens": tokens, "padded": len(rows) * length,
        "tokensPerSecond": round(tokens / median, 1), "peakRssMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "torch": torch.__version__,
    }))


if __name__ == "__main__":
    main()
