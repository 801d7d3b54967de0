"""Golden fixtures: tiny random models, and what transformers computes with them.

    python make.py OUT_DIR [NAME ...]       makes them
    python make.py --check DIR [NAME ...]                    computes anew for those in DIR, and compares

Needs torch, transformers >= 5, peft and safetensors; no accelerator and no network. For each architecture it writes
OUT_DIR/NAME/config.json and model.safetensors (float32, as save_pretrained writes them) and golden.json, and for one
model of each family and some others a LoRA adapter in OUT_DIR/NAME/adapter, as PEFT writes it. Everything in
golden.json is computed in float64.
"""

import contextlib
import copy
import json
import os
import re
import shutil
import sys
import zlib
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing here comes from the hub

import peft
import safetensors
import torch
import transformers

VOCABULARY = 48
LENGTHS = (13, 17)  # of the two plain sequences
PACKED = (8, 9, 6)  # prompt, chosen and rejected of the packed row: longer than every sliding window below

# What most of the configurations share. No padding token: torch would drop the gradient of its embedding.
SIZES = dict(vocab_size=VOCABULARY, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64)
# Of the second models of a family.
SMALL = SIZES | dict(hidden_size=16, intermediate_size=24)
TOKENS = dict(bos_token_id=1, eos_token_id=2, pad_token_id=None)
ROPE = dict(rope_type="default", rope_theta=10000.0)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=32)
# One factor for each of the three pairs that are rotated of a head of 8.
LONG = dict(rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75, short_factor=[1.0, 1.2, 1.6],
            long_factor=[1.1, 2.0, 9.0])

# Each family's plain model has its name; further ones add what they have that the first lacks.
ARCHITECTURES = {
    "llama": ("LlamaConfig", SIZES | dict(hidden_size=32, intermediate_size=48, rope_parameters=ROPE,
                                          tie_word_embeddings=False)),
    # With head_dim 12 and these numbers the three branches of the llama3 scaling are all taken.
    "llama-tied-bias-llama3rope": ("LlamaConfig", SIZES | dict(
        head_dim=12, attention_bias=True, mlp_bias=True, tie_word_embeddings=True, max_position_embeddings=256,
        rope_parameters=dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0,
                             high_freq_factor=4.0, original_max_position_embeddings=32))),
    # One group of heads, wider than the model divided among them.
    "llama-linear": ("LlamaConfig", SMALL | dict(
        head_dim=8, num_key_value_heads=1, rope_parameters=dict(rope_type="linear", rope_theta=500.0, factor=2.5))),
    # As long as no text is longer than the context, the dynamic scaling changes nothing.
    "llama-dynamic": ("LlamaConfig", SMALL | dict(
        head_dim=8, rope_parameters=dict(rope_type="dynamic", rope_theta=10000.0, factor=4.0))),
    "llama-yarn": ("LlamaConfig", SMALL | dict(head_dim=12, max_position_embeddings=128, rope_parameters=YARN)),
    "llama-yarn-mscale": ("LlamaConfig", SMALL | dict(
        head_dim=12, max_position_embeddings=128,
        rope_parameters=YARN | dict(beta_fast=4.0, beta_slow=0.5, mscale=1.5, mscale_all_dim=0.5, truncate=False))),
    "mistral": ("MistralConfig", SIZES | dict(sliding_window=5, rope_parameters=ROPE, tie_word_embeddings=False)),
    "mistral-tied-full": ("MistralConfig", SMALL | dict(
        head_dim=6, sliding_window=None, rope_parameters=ROPE | dict(rope_theta=1000.0), tie_word_embeddings=True)),
    "qwen2": ("Qwen2Config", SIZES | dict(rope_parameters=ROPE, tie_word_embeddings=False)),
    # Windows from the second layer on.
    "qwen2-tied-window": ("Qwen2Config", SMALL | dict(
        num_hidden_layers=3, use_sliding_window=True, sliding_window=4, max_window_layers=1, rope_parameters=ROPE,
        tie_word_embeddings=True)),
    "qwen3": ("Qwen3Config", SIZES | dict(head_dim=8, rope_parameters=ROPE, tie_word_embeddings=True)),
    "qwen3-untied-bias-window": ("Qwen3Config", SMALL | dict(
        num_hidden_layers=3, head_dim=6, attention_bias=True, use_sliding_window=True, sliding_window=4,
        max_window_layers=2, rope_parameters=ROPE, tie_word_embeddings=False)),
    "smollm3": ("SmolLM3Config", SIZES | dict(num_hidden_layers=3, no_rope_layers=[1, 0, 1], rope_parameters=ROPE,
                                              tie_word_embeddings=True)),
    # The layers without rotary positions are those with a window.
    "smollm3-untied-bias-window": ("SmolLM3Config", SMALL | dict(
        num_hidden_layers=4, no_rope_layer_interval=2, use_sliding_window=True, sliding_window=4, attention_bias=True,
        mlp_bias=True, rope_parameters=ROPE | dict(rope_theta=5000.0), tie_word_embeddings=False)),
    "gemma": ("GemmaConfig", SIZES | dict(head_dim=8, num_key_value_heads=1, rope_parameters=ROPE)),
    "gemma-untied-bias-gelu": ("GemmaConfig", SMALL | dict(
        head_dim=6, num_key_value_heads=4, hidden_act="gelu", attention_bias=True, rope_parameters=ROPE,
        tie_word_embeddings=False)),
    "gemma2": ("Gemma2Config", SIZES | dict(
        num_hidden_layers=3, head_dim=8, query_pre_attn_scalar=12, sliding_window=5, attn_logit_softcapping=3.0,
        final_logit_softcapping=4.0, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters=ROPE)),
    "gemma2-untied-bias-uncapped": ("Gemma2Config", SMALL | dict(
        head_dim=6, query_pre_attn_scalar=6, sliding_window=4, attn_logit_softcapping=None,
        final_logit_softcapping=None, attention_bias=True, rope_parameters=ROPE, tie_word_embeddings=False)),
    "gemma3_text": ("Gemma3TextConfig", SIZES | dict(
        num_hidden_layers=3, num_key_value_heads=1, head_dim=8, query_pre_attn_scalar=12, sliding_window=5,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        rope_parameters=dict(sliding_attention=ROPE, full_attention=dict(rope_type="linear", rope_theta=1000000.0,
                                                                         factor=4.0)))),
    # Every layer has a window: full attention would come with the sixth.
    "gemma3_text-untied-bias-capped": ("Gemma3TextConfig", SMALL | dict(
        head_dim=6, query_pre_attn_scalar=6, sliding_window=4, attention_bias=True, final_logit_softcapping=4.0,
        tie_word_embeddings=False)),
    "phi": ("PhiConfig", SIZES | dict(hidden_size=32, rope_parameters=ROPE | dict(partial_rotary_factor=0.5))),
    "phi-tied-gelu": ("PhiConfig", SMALL | dict(
        num_attention_heads=2, num_key_value_heads=1, hidden_act="gelu", layer_norm_eps=1e-3, tie_word_embeddings=True,
        rope_parameters=ROPE | dict(partial_rotary_factor=0.25))),
    "phi3": ("Phi3Config", SIZES | dict(hidden_size=32, sliding_window=7, original_max_position_embeddings=64,
                                        rope_parameters=ROPE | dict(partial_rotary_factor=0.75))),
    # As Phi-4-mini; every text is within the original context, but the scaling of attention holds there too.
    "phi3-tied-longrope": ("Phi3Config", SMALL | dict(
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=128,
        original_max_position_embeddings=32, rope_parameters=LONG, tie_word_embeddings=True)),
    # Every text is longer than the original context.
    "phi3-longrope-beyond": ("Phi3Config", SMALL | dict(
        num_attention_heads=2, max_position_embeddings=48, original_max_position_embeddings=12, rope_parameters=LONG)),
    "gpt2": ("GPT2Config", dict(vocab_size=VOCABULARY, n_embd=24, n_layer=2, n_head=4, n_positions=32)),
    "gpt2-untied": ("GPT2Config", dict(
        vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=2, n_positions=24, n_inner=40, layer_norm_epsilon=1e-3,
        tie_word_embeddings=False)),
    "gpt_neo": ("GPTNeoConfig", dict(
        vocab_size=VOCABULARY, hidden_size=24, num_layers=3, num_heads=4, max_position_embeddings=32, window_size=5,
        attention_types=[[["global", "local"], 1], [["local"], 1]])),
    "gpt_neo-untied-inner": ("GPTNeoConfig", dict(
        vocab_size=VOCABULARY, hidden_size=16, num_layers=2, num_heads=2, max_position_embeddings=24, window_size=4,
        intermediate_size=40, layer_norm_epsilon=1e-3, activation_function="gelu", attention_types=[[["local"], 2]],
        tie_word_embeddings=False)),
    "gpt_neox": ("GPTNeoXConfig", dict(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, use_parallel_residual=True,
        rope_parameters=ROPE | dict(partial_rotary_factor=0.25))),
    "gpt_neox-tied-sequential": ("GPTNeoXConfig", dict(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, use_parallel_residual=False, attention_bias=False, layer_norm_eps=1e-3,
        rope_parameters=ROPE | dict(partial_rotary_factor=1.0), tie_word_embeddings=True)),
    "gptj": ("GPTJConfig", dict(vocab_size=VOCABULARY, n_embd=24, n_layer=2, n_head=3, n_positions=32, rotary_dim=4)),
    "gptj-inner": ("GPTJConfig", dict(vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=2, n_positions=32,
                                      rotary_dim=8, n_inner=40, layer_norm_epsilon=1e-3)),
    "olmo": ("OlmoConfig", SIZES | dict(rope_parameters=ROPE)),
    "olmo-tied-bias": ("OlmoConfig", SMALL | dict(
        num_key_value_heads=4, attention_bias=True, rope_parameters=ROPE, tie_word_embeddings=True)),
    "olmo2": ("Olmo2Config", SIZES | dict(rope_parameters=ROPE | dict(rope_theta=500000.0))),
    "olmo2-tied-bias": ("Olmo2Config", SMALL | dict(
        num_key_value_heads=4, attention_bias=True, rms_norm_eps=1e-3, rope_parameters=ROPE, tie_word_embeddings=True)),
    "granite": ("GraniteConfig", SIZES | dict(
        embedding_multiplier=3.0, attention_multiplier=0.2, residual_multiplier=0.5, logits_scaling=2.0,
        rope_parameters=ROPE, tie_word_embeddings=True)),
    "granite-untied-bias": ("GraniteConfig", SMALL | dict(
        embedding_multiplier=0.5, attention_multiplier=0.6, residual_multiplier=1.5, logits_scaling=0.5,
        attention_bias=True, mlp_bias=True, rope_parameters=ROPE, tie_word_embeddings=False)),
    "stablelm": ("StableLmConfig", SIZES | dict(
        hidden_size=32, use_qkv_bias=True, rope_parameters=ROPE | dict(partial_rotary_factor=0.25))),
    "stablelm-tied-parallel-qknorm": ("StableLmConfig", SMALL | dict(
        num_attention_heads=2, num_key_value_heads=1, use_parallel_residual=True, qk_layernorm=True,
        rope_parameters=ROPE | dict(partial_rotary_factor=0.5), tie_word_embeddings=True)),
}

# The modules with adapters: every linear layer of each family's plain model, and a choice in some others.
LLAMA_LIKE = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS = {name: LLAMA_LIKE for name in ("mistral", "qwen2", "qwen3", "smollm3", "gemma", "gemma2", "gemma3_text",
                                          "olmo", "olmo2", "granite", "stablelm")} | {
    "llama": "all-linear",  # PEFT spells out the names of so few modules
    "phi3": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
    "gpt2": ["c_attn", "c_proj", "c_fc"],  # c_proj is in the attention and in the MLP
    "phi": ["q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"],
    "gpt_neo": ["q_proj", "k_proj", "v_proj", "out_proj", "c_fc", "c_proj"],
    "gpt_neox": ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"],
    "gptj": ["q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out"],
    "llama-tied-bias-llama3rope": ["q_proj", "v_proj"],
    "gpt2-untied": ["c_attn"],
    "gpt_neox-tied-sequential": ["query_key_value"],
}


MEANING = (
    "All in float64 with eager attention. logits: of each position of each sequence alone. gradient: of the mean "
    "next-token cross entropy of the first sequence, per tensor its L2 norm and its dot product with cos(i) over "
    "the flat index i. packed: one row prompt | chosen | rejected; both answers see the prompt, not each other, "
    "and both answers' positions continue from the prompt's. steps: of the packed row as a pair, the loss and the "
    "L2 norm of the gradient of all trained tensors together, by dpo (beta 0.1) and by tdpo2 (beta 0.1, alpha "
    "0.5); the reference is this model with each number times 1 + 0.05 sin(i). adapter...: the same with the LoRA "
    "adapter, unmerged, the logits of the first sequence only; the reference of its steps is the model without "
    "it."
)


@contextlib.contextmanager
def in_float64():
    """transformers computes norms, softmax and rotary angles in float32 whatever the model's type: here, in float64."""
    kept = torch.float32, torch.float, torch.Tensor.float, torch.get_default_dtype()
    torch.float32 = torch.float = torch.float64
    torch.Tensor.float = torch.Tensor.double
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.float32, torch.float, torch.Tensor.float = kept[:3]
        torch.set_default_dtype(kept[3])


@torch.no_grad()
def randomise(parameters, std, generator):
    """Matrices anew, large enough that every part matters; vectors (biases, norms) moved from where they start."""
    for p in parameters:
        noise = torch.randn(p.shape, generator=generator) * std
        p.copy_(noise if p.ndim > 1 else p + noise)


def generator_of(name):
    return torch.Generator().manual_seed(zlib.crc32(name.encode()))


def tokens_of(generator):
    """The plain sequences, and the packed row."""
    *plain, packed = [torch.randint(0, VOCABULARY, (n,), generator=generator) for n in (*LENGTHS, sum(PACKED))]
    return plain, packed


def logits_of(model, tokens, **more):
    out = model(input_ids=tokens[None], use_cache=False, **more).logits[0]
    assert out.dtype == torch.get_default_dtype(), out.dtype
    return out


def loss_of(model, tokens):
    return torch.nn.functional.cross_entropy(logits_of(model, tokens)[:-1], tokens[1:])


def probe_of(p):
    """cos(i) over the flat index i of the tensor as it lies in the file."""
    return torch.cos(torch.arange(p.numel(), dtype=torch.float64)).reshape(p.shape)


def gradient_of(model, tokens):
    """The mean next-token cross entropy, and of its gradient, for each trained tensor, the norm and a projection."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    loss = loss_of(model, tokens)
    grads = torch.autograd.grad(loss, [p for _, p in named])
    projections = [(g * probe_of(g)).sum().item() for g in grads]

    # Finite differences along the probe agree only if nothing was rounded to float32 on the way.
    step, ends = 1e-6, []
    with torch.no_grad():
        for sign in (1, -2):
            for _, p in named:
                p.add_(probe_of(p), alpha=sign * step)
            ends.append(loss_of(model, tokens).item())
        for _, p in named:
            p.add_(probe_of(p), alpha=step)
    slope = (ends[0] - ends[1]) / (2 * step)
    assert abs(slope - sum(projections)) < 1e-5 * (1 + abs(slope)), (slope, sum(projections))

    return {"loss": digits(loss.item(), 12), "parameters": {
        n.replace(".default", ""): {"norm": digits(g.norm().item(), 12), "probe": digits(d, 12)}
        for (n, _), g, d in zip(named, grads, projections)}}


@torch.no_grad()
def reference_of(model):
    """A model that differs from the given one in every number, the same for whoever knows the latter."""
    reference = copy.deepcopy(model)
    for p in reference.parameters():
        p.mul_(1 + 0.05 * torch.sin(torch.arange(p.numel(), dtype=torch.float64)).reshape(p.shape))
    return reference


def answers_of(model, tokens):
    """Of the packed row as two sequences: the answers' tokens, and the log-probabilities of the vocabulary there."""
    prompt, chosen, _ = PACKED
    for answer in (tokens[prompt:prompt + chosen], tokens[prompt + chosen:]):
        logits = logits_of(model, torch.cat([tokens[:prompt], answer]))[prompt - 1:-1]
        yield answer, torch.log_softmax(logits, -1)


def steps_of(model, tokens, references):
    """What a step of training begins with: the loss of the packed row as a pair, and its gradient's norm."""
    rho, kl = [], []
    for (answer, logp), reference in zip(answers_of(model, tokens), references):
        rho.append((logp - reference).gather(1, answer[:, None]).sum())
        kl.append((reference.exp() * (reference - logp)).sum())
    margins = {"dpo": rho[0] - rho[1], "tdpo2": rho[0] - rho[1] - 0.5 * (kl[1] - kl[0].detach())}
    trained = [p for p in model.parameters() if p.requires_grad]
    steps = {}
    for name, margin in margins.items():
        loss = -torch.nn.functional.logsigmoid(0.1 * margin)
        grads = torch.autograd.grad(loss, trained, retain_graph=True)
        norm = torch.stack([g.norm() for g in grads]).norm()
        steps[name] = {"loss": digits(loss.item(), 12), "gradientNorm": digits(norm.item(), 12)}
    return steps


@torch.no_grad()
def references_of(reference, tokens):
    return [logp for _, logp in answers_of(reference, tokens)]


def packed_of(model, tokens):
    """One row `prompt | chosen | rejected`: both answers see the prompt, not each other, and both start after it."""
    prompt, chosen, rejected = PACKED
    segment = torch.tensor([0] * prompt + [1] * chosen + [2] * rejected)
    position = torch.cat([torch.arange(prompt + chosen), torch.arange(prompt, prompt + rejected)])
    distance = position[:, None] - position[None, :]
    seen = (distance >= 0) & ((segment[:, None] == segment[None, :]) | (segment[None, :] == 0))

    def mask(window):
        keep = seen if window is None else seen & (distance < window)
        return torch.zeros(keep.shape).masked_fill(~keep, torch.finfo(torch.float64).min)[None, None]

    window = getattr(model.config, "sliding_window", None)
    if len(set(getattr(model.config, "layer_types", None) or [])) > 1:
        attention_mask = {"full_attention": mask(None), "sliding_attention": mask(window)}
    else:
        attention_mask = mask(window)
    plain = model
    if model.config.model_type == "gpt_neo":
        # Its layers have masks of their own, which know places in the row, not positions.
        model = copy.deepcopy(model)
        for block, kind in zip(model.transformer.h, model.config.attention_layers):
            local = distance < model.config.window_size if kind == "local" else True
            block.attn.attention.bias = (seen & local)[None, None]
    out = logits_of(model, tokens, attention_mask=attention_mask, position_ids=position[None])

    # The same as the two sequences alone.
    first = logits_of(plain, tokens[:prompt + chosen])
    second = logits_of(plain, torch.cat([tokens[:prompt], tokens[prompt + chosen:]]))
    apart = max((out[:prompt + chosen] - first).abs().max(), (out[prompt + chosen:] - second[prompt:]).abs().max())
    assert apart < 1e-9, apart
    return {"tokens": tokens.tolist(), "prompt": prompt, "chosen": chosen, "rejected": rejected,
            "positions": position.tolist(), "logits": rows(out)}


def digits(value, count=7):
    return float(f"{value:.{count}g}")


def rows(logits):
    return [[digits(x) for x in row] for row in logits.tolist()]


def write(path, value):
    """JSON with each list of numbers, and each object of numbers alone, on one line."""
    text = json.dumps(value, indent=1)
    text = re.sub(r'\{([-+.,:e\d\s"a-zA-Z]+)\}', lambda m: "{" + " ".join(m[1].split()) + "}", text)
    text = re.sub(r"\[([-+.,e\d\s]+)\]", lambda m: "[" + ",".join(m[1].replace(",", " ").split()) + "]", text)
    path.write_text(text + "\n")


def build(name, folder):
    """The model and the adapter, as a user has them on disk, and the tokens to try them on."""
    kind, settings = copy.deepcopy(ARCHITECTURES[name])
    generator = generator_of(name)
    shutil.rmtree(folder, ignore_errors=True)
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, kind)(**TOKENS, **settings))
    randomise(model.parameters(), 0.3, generator)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)

    if name in ADAPTERS:
        model.name_or_path = name
        lora = peft.LoraConfig(task_type="CAUSAL_LM", r=2, lora_alpha=4, target_modules=ADAPTERS[name],
                               fan_in_fan_out=kind == "GPT2Config")
        model = peft.get_peft_model(model, lora)
        lora = model.peft_config["default"]
        lora.target_modules = sorted(lora.target_modules)  # a set has no order
        randomise([p for n, p in model.named_parameters() if "lora_" in n], 0.3, generator)
        model.save_pretrained(folder / "adapter", save_embedding_layers=False)
        (folder / "adapter" / "README.md").unlink(missing_ok=True)
    return tokens_of(generator)


def compute(folder, tokens, packed):
    """Reads the folder back as float32, and computes in float64."""
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                               attn_implementation="eager").eval()
    with torch.no_grad():
        single = [logits_of(loaded, t) for t in tokens]
    with in_float64():
        model = type(loaded)(copy.deepcopy(loaded.config))
        model.load_state_dict(loaded.state_dict())
        model.eval()
        assert model.config._attn_implementation == "eager"
        assert {t.dtype for t in [*model.parameters(), *model.buffers()] if t.is_floating_point()} == {torch.float64}
        with torch.no_grad():
            logits = [logits_of(model, t) for t in tokens]
            row = packed_of(model, packed)
        gradient = gradient_of(model, tokens[0])
        steps = steps_of(model, packed, references_of(reference_of(model), packed))
    apart = max((a - b).abs().max().item() for a, b in zip(single, logits))
    assert apart < 1e-3, apart  # in_float64 changed the precision and nothing else
    gradient["parameters"] = names_in_file(gradient["parameters"], folder)

    golden = {
        "about": "What transformers computes with the model beside this file. " + MEANING,
        "transformers": transformers.__version__, "torch": torch.__version__.split("+")[0],
        "tokens": [t.tolist() for t in tokens], "logits": [rows(x) for x in logits],
        "gradient": gradient, "packed": row, "steps": steps,
    }
    if (folder / "adapter").exists():
        with in_float64():
            references = references_of(model, packed)
        adapted = peft.PeftModel.from_pretrained(model, folder / "adapter", is_trainable=True).double().eval()
        with in_float64():
            with torch.no_grad():
                logits = logits_of(adapted, tokens[0])
            gradient = gradient_of(adapted, tokens[0])
            steps = steps_of(adapted, packed, references)
            merged = adapted.merge_and_unload()
            with torch.no_grad():
                assert (logits_of(merged, tokens[0]) - logits).abs().max() < 1e-9
        golden |= {"peft": peft.__version__, "adapterLogits": rows(logits), "adapterGradient": gradient,
                   "adapterSteps": steps}
    return golden


def names_in_file(parameters, folder):
    """transformers calls some parameters otherwise in memory than in files."""
    with safetensors.safe_open(folder / "model.safetensors", "pt") as file:
        names = set(file.keys())
    renamed = {n if n in names else n.replace("lm_head.", "embed_out."): p for n, p in parameters.items()}
    assert renamed.keys() == names, renamed.keys() ^ names
    return renamed


def apart_of(a, b):
    """The largest relative difference of the numbers in two JSON values; infinite where they differ in shape."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return max((apart_of(a[k], b[k]) for k in a), default=0)
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return max(map(apart_of, a, b), default=0)
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return abs(a - b) / (1 + abs(b))
    return 0 if a == b else float("inf")


def main(arguments):
    check = arguments[:1] == ["--check"]
    root, *names = arguments[check:]
    worst = 0
    for name in names or ARCHITECTURES:
        folder = Path(root) / name
        if check:
            kept = json.loads((folder / "golden.json").read_text())
            tokens, packed = [torch.tensor(t) for t in kept["tokens"]], torch.tensor(kept["packed"]["tokens"])
            golden = compute(folder, tokens, packed)
            told = ("about", "transformers", "torch", "peft")
            apart = max(apart_of(golden.get(k), kept.get(k)) for k in golden.keys() | kept.keys() if k not in told)
            worst = max(worst, apart)
            print(f"{name}: {apart:.1e} apart")
        else:
            golden = compute(folder, *build(name, folder))
            write(folder / "golden.json", golden)
            print(f"{name}: made")
    return 0 if worst < 1e-6 else 1


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1:]))
