"""Rotary frequencies as transformers computes them, for keys of config.json in many spellings.

    python make.py > frequencies.json

Needs torch and transformers >= 5. Each case is a config.json, and for some lengths of a sequence the angle per position
of each pair and the factor on cosines and sines, in float64.
"""

import contextlib
import importlib
import json
import logging
import re

import torch
import transformers
from transformers import AutoConfig

logging.disable(logging.WARNING)

SIZES = dict(hidden_size=64, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, vocab_size=48,
             max_position_embeddings=256)
LLAMA = dict(model_type="llama", **SIZES)
PHI3 = dict(model_type="phi3", **SIZES)
FACTORS = dict(short_factor=[1.0, 1.1, 1.2, 1.4, 1.7, 2.1, 2.6, 3.2],
               long_factor=[1.0, 1.5, 2.5, 4.0, 6.0, 9.0, 13.0, 18.0])
LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64)

CASES = [
    LLAMA,
    LLAMA | dict(rope_theta=500000.0, head_dim=12),
    LLAMA | dict(rope_parameters=dict(rope_type="default", rope_theta=1000000.0)),
    LLAMA | dict(rope_theta=7.0, rope_parameters=dict(rope_theta=1000000.0)),
    LLAMA | dict(rope_scaling=dict(type="linear", factor=2.5)),
    LLAMA | dict(rope_theta=5000.0, rope_scaling=dict(type="linear", rope_type="linear", factor=4.0)),
    LLAMA | dict(rope_scaling=dict(rope_type="dynamic", factor=3.0)),
    LLAMA | dict(rope_parameters=dict(rope_type="dynamic", factor=2.0, rope_theta=500.0)),
    LLAMA | dict(rope_theta=500000.0, rope_scaling=dict(rope_type="llama3", **LLAMA3)),
    LLAMA | dict(rope_parameters=dict(rope_type="llama3", rope_theta=10000.0, **LLAMA3)),
    LLAMA | dict(original_max_position_embeddings=32, rope_scaling=dict(rope_type="llama3", **LLAMA3)),
    LLAMA | dict(rope_scaling=YARN),
    LLAMA | dict(rope_scaling=YARN | dict(truncate=False)),
    LLAMA | dict(rope_scaling=YARN | dict(attention_factor=0.7, beta_fast=4.0, beta_slow=2.0)),
    LLAMA | dict(rope_scaling=YARN | dict(mscale=0.8, mscale_all_dim=0.4)),
    LLAMA | dict(rope_scaling=YARN | dict(mscale=0.8)),
    LLAMA | dict(rope_scaling=YARN | dict(factor=None)),
    LLAMA | dict(original_max_position_embeddings=128, rope_scaling=dict(type="yarn", factor=2.0)),
    LLAMA | dict(rope_scaling=dict(rope_type="yarn", factor=2.0)),
    LLAMA | dict(rope_scaling=dict(rope_type="longrope", original_max_position_embeddings=32, **FACTORS)),
    LLAMA | dict(rope_scaling=dict(rope_type="longrope", original_max_position_embeddings=32, factor=16.0, **FACTORS)),
    LLAMA | dict(rope_scaling=dict(rope_type="longrope", original_max_position_embeddings=32, attention_factor=1.5,
                                   **FACTORS)),
    LLAMA | dict(original_max_position_embeddings=128, rope_scaling=dict(rope_type="longrope", **FACTORS)),
    # Keys of the scaling beside it, where transformers looks for none of them.
    LLAMA | dict(rope_type="linear", factor=2.0),
    PHI3 | dict(rope_parameters=dict(rope_type="default", partial_rotary_factor=0.5)),
    PHI3 | dict(partial_rotary_factor=0.75, rope_theta=50000.0),
    PHI3 | dict(original_max_position_embeddings=64, rope_scaling=dict(type="longrope", **FACTORS)),
    PHI3 | dict(original_max_position_embeddings=64, rope_scaling=dict(
        type="su", original_max_position_embeddings=64, **FACTORS)),
    # Here yarn is an old name of longrope.
    PHI3 | dict(original_max_position_embeddings=64, rope_scaling=dict(
        type="yarn", original_max_position_embeddings=64, **FACTORS)),
    # The class's default of 4096.
    PHI3 | dict(rope_scaling=dict(type="longrope", **FACTORS)),
    PHI3 | dict(original_max_position_embeddings=64, partial_rotary_factor=0.5, rope_scaling=dict(
        type="longrope", short_factor=FACTORS["short_factor"][:4], long_factor=FACTORS["long_factor"][:4])),
    dict(model_type="gpt_neox", **SIZES),
    dict(model_type="gpt_neox", **SIZES, rotary_pct=0.5, rotary_emb_base=5000),
    dict(model_type="gpt_neox", **SIZES, rope_scaling=dict(type="linear", factor=2.0)),
    dict(model_type="gpt_neox", **SIZES, rope_parameters=dict(partial_rotary_factor=0.75, rope_theta=300.0)),
    dict(model_type="stablelm", **SIZES, num_key_value_heads=4),
    dict(model_type="stablelm", **SIZES, num_key_value_heads=4, partial_rotary_factor=0.5, rope_theta=5000),
    dict(model_type="stablelm", **SIZES, num_key_value_heads=4,
         rope_parameters=dict(rope_type="dynamic", factor=2.0, partial_rotary_factor=0.75)),
]
LENGTHS = (20, 100, 256, 300)


@contextlib.contextmanager
def in_float64():
    """transformers computes rotary angles in float32 whatever the model's type: here, in float64."""
    kept = torch.float32, torch.float, torch.Tensor.float, torch.get_default_dtype()
    torch.float32 = torch.float = torch.float64
    torch.Tensor.float = torch.Tensor.double
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.float32, torch.float, torch.Tensor.float = kept[:3]
        torch.set_default_dtype(kept[3])


def rotary_of(raw):
    raw = json.loads(json.dumps(raw))
    name = raw.pop("model_type")
    config = AutoConfig.for_model(name, **raw)
    module = importlib.import_module(f"transformers.models.{name}.modeling_{name}")
    kind = next(v for k, v in vars(module).items() if k.endswith("RotaryEmbedding"))
    return kind(config)


def case_of(raw):
    lengths = {}
    for length in LENGTHS:
        rotary = rotary_of(raw)
        rotary(torch.zeros(1), torch.arange(length)[None])
        lengths[length] = dict(frequencies=[float(f"{x:.15g}") for x in rotary.inv_freq.tolist()],
                               factor=float(f"{rotary.attention_scaling:.15g}"))
    return dict(config=raw, lengths=lengths)


def main():
    with in_float64():
        cases = [case_of(raw) for raw in CASES]
    text = json.dumps(dict(transformers=transformers.__version__, cases=cases), indent=1)
    print(re.sub(r"\[([-+.,e\d\s]+)\]", lambda m: "[" + ",".join(m[1].replace(",", " ").split()) + "]", text))


main()
