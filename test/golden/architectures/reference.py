"""Golden fixtures without transformers: the same files as make.py, computed by the plain PyTorch below.

    python reference.py OUT_DIR [NAME ...]

Written from the published definitions of the models, for a machine that has no transformers. It is a second opinion,
not the original: `make.py --check OUT_DIR` asks transformers whether it agrees.
"""

import json
import math
import shutil
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from make import (ADAPTERS, ARCHITECTURES, MEANING, TOKENS, generator_of, gradient_of, in_float64, logits_of,
                  packed_of, randomise, rows, tokens_of, write)

# The rest of each configuration, as transformers 5 writes it.
LLAMA_LIKE = dict(hidden_act="silu", attention_dropout=0.0, rms_norm_eps=1e-6, initializer_range=0.02, use_cache=True)
GEMMA_LIKE = dict(hidden_activation="gelu_pytorch_tanh", attention_bias=False, attention_dropout=0.0, rms_norm_eps=1e-6,
                  initializer_range=0.02, use_cache=True, tie_word_embeddings=True)
GPT_LIKE = dict(n_inner=None, activation_function="gelu_new", layer_norm_epsilon=1e-5, initializer_range=0.02,
                use_cache=True)
DEFAULTS = {
    "LlamaConfig": ("llama", LLAMA_LIKE | dict(attention_bias=False, mlp_bias=False, pretraining_tp=1, head_dim=8)),
    "MistralConfig": ("mistral", LLAMA_LIKE | dict(head_dim=6)),
    "Qwen2Config": ("qwen2", LLAMA_LIKE | dict(use_sliding_window=False, sliding_window=None, max_window_layers=28,
                                               layer_types=["full_attention"] * 2)),
    "Qwen3Config": ("qwen3", LLAMA_LIKE | dict(attention_bias=False, use_sliding_window=False, sliding_window=None,
                                               max_window_layers=28, layer_types=["full_attention"] * 2)),
    "Gemma2Config": ("gemma2", GEMMA_LIKE | dict(use_bidirectional_attention=None)),
    "Gemma3TextConfig": ("gemma3_text", GEMMA_LIKE | dict(
        final_logit_softcapping=None, attn_logit_softcapping=None, use_bidirectional_attention=False,
        _sliding_window_pattern=6)),
    "GPT2Config": ("gpt2", GPT_LIKE | dict(
        resid_pdrop=0.1, embd_pdrop=0.1, attn_pdrop=0.1, summary_type="cls_index", summary_use_proj=True,
        summary_activation=None, summary_proj_to_labels=True, summary_first_dropout=0.1, scale_attn_weights=True,
        scale_attn_by_inverse_layer_idx=False, reorder_and_upcast_attn=False, add_cross_attention=False,
        tie_word_embeddings=True)),
    "GPTJConfig": ("gptj", GPT_LIKE | dict(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, tie_word_embeddings=False)),
    "GPTNeoXConfig": ("gpt_neox", dict(
        hidden_act="gelu", attention_bias=True, attention_dropout=0.0, hidden_dropout=0.0, classifier_dropout=0.1,
        initializer_range=0.02, layer_norm_eps=1e-5, use_cache=True, is_decoder=False, tie_word_embeddings=False)),
    "Phi3Config": ("phi3", LLAMA_LIKE | dict(rms_norm_eps=1e-5, resid_pdrop=0.0, embd_pdrop=0.0,
                                             tie_word_embeddings=False)),
    "SmolLM3Config": ("smollm3", LLAMA_LIKE | dict(
        attention_bias=False, mlp_bias=False, use_sliding_window=False, sliding_window=None, no_rope_layer_interval=4,
        layer_types=["full_attention"] * 3)),
}


def configuration_of(name):
    kind, settings = ARCHITECTURES[name]
    model_type, defaults = DEFAULTS[kind]
    classes = {"GPT2Config": "GPT2LMHeadModel", "Gemma3TextConfig": "Gemma3ForCausalLM"}
    architecture = classes.get(kind, kind.replace("Config", "ForCausalLM"))
    return dict(architectures=[architecture], dtype="float32", model_type=model_type, **TOKENS, **(defaults | settings))


def rotary_frequencies(rope, dim):
    frequencies = rope["rope_theta"] ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    if rope["rope_type"] == "linear":
        return frequencies / rope["factor"]
    if rope["rope_type"] == "llama3":
        # Long waves are slowed by the factor, short ones kept, those between blended.
        turns = rope["original_max_position_embeddings"] * frequencies / (2 * math.pi)
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        kept = ((turns - low) / (high - low)).clamp(0, 1)
        return frequencies * (kept + (1 - kept) / rope["factor"])
    return frequencies


def rotate(x, position, frequencies, interleaved=False):
    """x is [heads, tokens, width]; what lies beyond twice the frequencies passes unchanged."""
    n = len(frequencies)
    angle = position[:, None].double() * frequencies
    cos, sin = angle.cos(), angle.sin()
    turned, rest = x[..., : 2 * n], x[..., 2 * n :]
    if interleaved:
        a, b = turned[..., 0::2], turned[..., 1::2]
        turned = torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)
    else:
        a, b = turned[..., :n], turned[..., n:]
        turned = torch.cat([a * cos - b * sin, b * cos + a * sin], -1)
    return torch.cat([turned, rest], -1)


class Reference:
    """Looks enough like a transformers model for the helpers of make.py."""

    def __init__(self, configuration, weights, lora=None, scaling=0.0):
        self.config = SimpleNamespace(**configuration)
        self.weights, self.lora, self.scaling = weights, lora or {}, scaling
        for p in (self.lora or self.weights).values():
            p.requires_grad_()

    def named_parameters(self):
        return (self.lora or self.weights).items()

    def __call__(self, input_ids, use_cache, attention_mask=None, position_ids=None):
        tokens = input_ids[0]
        position = torch.arange(len(tokens)) if position_ids is None else position_ids[0]

        def mask(kind, window):
            if isinstance(attention_mask, dict):
                return attention_mask[kind][0, 0]
            if attention_mask is not None:
                return attention_mask[0, 0]
            distance = position[:, None] - position[None, :]
            hidden = (distance < 0) if window is None else (distance < 0) | (distance >= window)
            return torch.zeros(hidden.shape, dtype=torch.float64).masked_fill(hidden, -math.inf)

        run = {"gpt2": self.gpt2, "gptj": self.gptj, "gpt_neox": self.gpt_neox}.get(self.config.model_type, self.llama)
        return SimpleNamespace(logits=run(tokens, position, mask)[None])

    def linear(self, x, name, transposed=False):
        """Weights are [out, in], but [in, out] in GPT-2."""
        w, b = self.weights[name + ".weight"], self.weights.get(name + ".bias")
        y = x @ (w if transposed else w.T)
        y = y if b is None else y + b
        key = f"base_model.model.{name}.lora_%s.weight"
        if key % "A" in self.lora:
            y = y + self.scaling * (x @ self.lora[key % "A"].T @ self.lora[key % "B"].T)
        return y

    def layer_norm(self, x, name, eps):
        centred = x - x.mean(-1, keepdim=True)
        y = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()
        return y * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def rms_norm(self, x, name):
        y = x / (x.square().mean(-1, keepdim=True) + self.config.rms_norm_eps).sqrt()
        w = self.weights[name + ".weight"]
        return y * (1 + w if self.config.model_type.startswith("gemma") else w)

    def attend(self, q, k, v, mask, scale, cap=None):
        """[heads, tokens, width] each; several query heads may share one of keys and values."""
        groups = q.shape[0] // k.shape[0]
        k, v = k.repeat_interleave(groups, 0), v.repeat_interleave(groups, 0)
        scores = q @ k.transpose(1, 2) * scale
        scores = scores if cap is None else cap * torch.tanh(scores / cap)
        return (torch.softmax(scores + mask, -1) @ v).transpose(0, 1).flatten(1)

    def llama(self, tokens, position, mask):
        """Llama and its kin: Mistral, Qwen, Gemma, Phi-3, SmolLM3."""
        c = self.config
        gemma, phi = c.model_type.startswith("gemma"), c.model_type == "phi3"
        head = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
        q_heads, kv_heads = c.num_attention_heads, c.num_key_value_heads
        scale = (c.query_pre_attn_scalar if gemma else head) ** -0.5
        x = self.weights["model.embed_tokens.weight"][tokens]
        x = x * math.sqrt(c.hidden_size) if gemma else x

        for i in range(c.num_hidden_layers):
            at = f"model.layers.{i}."
            kinds = getattr(c, "layer_types", None)
            kind = kinds[i] if kinds else "full_attention"
            windowed = kind == "sliding_attention" or not kinds
            rope = c.rope_parameters.get(kind, c.rope_parameters)

            y = self.rms_norm(x, at + "input_layernorm")
            if phi:
                parts = [q_heads * head, kv_heads * head, kv_heads * head]
                q, k, v = self.linear(y, at + "self_attn.qkv_proj").split(parts, -1)
            else:
                q, k, v = (self.linear(y, at + f"self_attn.{p}_proj") for p in "qkv")
            q, k, v = (t.unflatten(-1, (-1, head)).transpose(0, 1) for t in (q, k, v))
            if at + "self_attn.q_norm.weight" in self.weights:
                q, k = self.rms_norm(q, at + "self_attn.q_norm"), self.rms_norm(k, at + "self_attn.k_norm")
            if getattr(c, "no_rope_layers", [1] * c.num_hidden_layers)[i]:
                frequencies = rotary_frequencies(rope, int(head * rope.get("partial_rotary_factor", 1.0)))
                q, k = rotate(q, position, frequencies), rotate(k, position, frequencies)
            seen = mask(kind, getattr(c, "sliding_window", None) if windowed else None)
            y = self.attend(q, k, v, seen, scale, getattr(c, "attn_logit_softcapping", None))
            y = self.linear(y, at + "self_attn.o_proj")
            x = x + (self.rms_norm(y, at + "post_attention_layernorm") if gemma else y)

            y = self.rms_norm(x, at + ("pre_feedforward_layernorm" if gemma else "post_attention_layernorm"))
            if phi:
                gate, up = self.linear(y, at + "mlp.gate_up_proj").chunk(2, -1)
            else:
                gate, up = self.linear(y, at + "mlp.gate_proj"), self.linear(y, at + "mlp.up_proj")
            y = self.linear((gelu_tanh(gate) if gemma else gate * torch.sigmoid(gate)) * up, at + "mlp.down_proj")
            x = x + (self.rms_norm(y, at + "post_feedforward_layernorm") if gemma else y)

        x = self.rms_norm(x, "model.norm")
        logits = x @ self.weights["model.embed_tokens.weight" if c.tie_word_embeddings else "lm_head.weight"].T
        cap = getattr(c, "final_logit_softcapping", None)
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def gpt2(self, tokens, position, mask):
        c = self.config
        x = self.weights["transformer.wte.weight"][tokens] + self.weights["transformer.wpe.weight"][position]
        for i in range(c.n_layer):
            at = f"transformer.h.{i}."
            y = self.linear(self.layer_norm(x, at + "ln_1", c.layer_norm_epsilon), at + "attn.c_attn", True)
            q, k, v = (t.unflatten(-1, (c.n_head, -1)).transpose(0, 1) for t in y.chunk(3, -1))
            y = self.attend(q, k, v, mask(None, None), q.shape[-1] ** -0.5)
            x = x + self.linear(y, at + "attn.c_proj", True)
            y = self.linear(self.layer_norm(x, at + "ln_2", c.layer_norm_epsilon), at + "mlp.c_fc", True)
            x = x + self.linear(gelu_tanh(y), at + "mlp.c_proj", True)
        return self.layer_norm(x, "transformer.ln_f", c.layer_norm_epsilon) @ self.weights["transformer.wte.weight"].T

    def gptj(self, tokens, position, mask):
        c = self.config
        frequencies = rotary_frequencies(dict(rope_type="default", rope_theta=10000.0), c.rotary_dim)
        x = self.weights["transformer.wte.weight"][tokens]
        for i in range(c.n_layer):
            at = f"transformer.h.{i}."
            y = self.layer_norm(x, at + "ln_1", c.layer_norm_epsilon)
            q, k, v = (self.linear(y, at + f"attn.{p}_proj").unflatten(-1, (c.n_head, -1)).transpose(0, 1)
                       for p in "qkv")
            q, k = rotate(q, position, frequencies, True), rotate(k, position, frequencies, True)
            attended = self.attend(q, k, v, mask(None, None), q.shape[-1] ** -0.5)
            x = (x + self.linear(attended, at + "attn.out_proj")
                 + self.linear(gelu_tanh(self.linear(y, at + "mlp.fc_in")), at + "mlp.fc_out"))
        return self.linear(self.layer_norm(x, "transformer.ln_f", c.layer_norm_epsilon), "lm_head")

    def gpt_neox(self, tokens, position, mask):
        c = self.config
        head = c.hidden_size // c.num_attention_heads
        rope = c.rope_parameters
        frequencies = rotary_frequencies(rope, int(head * rope["partial_rotary_factor"]))
        x = self.weights["gpt_neox.embed_in.weight"][tokens]
        for i in range(c.num_hidden_layers):
            at = f"gpt_neox.layers.{i}."
            y = self.linear(self.layer_norm(x, at + "input_layernorm", c.layer_norm_eps),
                            at + "attention.query_key_value")
            # Head after head, each with its query, key and value.
            q, k, v = y.unflatten(-1, (c.num_attention_heads, 3 * head)).transpose(0, 1).chunk(3, -1)
            q, k = rotate(q, position, frequencies), rotate(k, position, frequencies)
            attended = self.linear(self.attend(q, k, v, mask(None, None), head**-0.5), at + "attention.dense")
            y = x if c.use_parallel_residual else x + attended
            y = self.layer_norm(y, at + "post_attention_layernorm", c.layer_norm_eps)
            x = x + attended + self.linear(F.gelu(self.linear(y, at + "mlp.dense_h_to_4h")), at + "mlp.dense_4h_to_h")
        return self.linear(self.layer_norm(x, "gpt_neox.final_layer_norm", c.layer_norm_eps), "embed_out")


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def shapes_of(c):
    """Names and shapes as in the checkpoints."""
    shapes = {}

    def linear(name, out, width, bias=False, transposed=False):
        shapes[name + ".weight"] = (width, out) if transposed else (out, width)
        if bias:
            shapes[name + ".bias"] = (out,)

    def norm(name, width, bias=False):
        shapes[name + ".weight"] = (width,)
        if bias:
            shapes[name + ".bias"] = (width,)

    vocabulary = c["vocab_size"]
    if c["model_type"] in ("gpt2", "gptj"):
        width, gptj = c["n_embd"], c["model_type"] == "gptj"
        shapes["transformer.wte.weight"] = (vocabulary, width)
        if not gptj:
            shapes["transformer.wpe.weight"] = (c["n_positions"], width)
        for i in range(c["n_layer"]):
            at = f"transformer.h.{i}."
            norm(at + "ln_1", width, True)
            if gptj:
                for p in ("q", "k", "v", "out"):
                    linear(at + f"attn.{p}_proj", width, width)
                linear(at + "mlp.fc_in", 4 * width, width, True)
                linear(at + "mlp.fc_out", width, 4 * width, True)
            else:
                linear(at + "attn.c_attn", 3 * width, width, True, True)
                linear(at + "attn.c_proj", width, width, True, True)
                norm(at + "ln_2", width, True)
                linear(at + "mlp.c_fc", 4 * width, width, True, True)
                linear(at + "mlp.c_proj", width, 4 * width, True, True)
        norm("transformer.ln_f", width, True)
        if gptj:
            linear("lm_head", vocabulary, width, True)
        return shapes

    width, inner = c["hidden_size"], c["intermediate_size"]
    if c["model_type"] == "gpt_neox":
        shapes["gpt_neox.embed_in.weight"] = (vocabulary, width)
        for i in range(c["num_hidden_layers"]):
            at = f"gpt_neox.layers.{i}."
            norm(at + "input_layernorm", width, True)
            norm(at + "post_attention_layernorm", width, True)
            linear(at + "attention.query_key_value", 3 * width, width, True)
            linear(at + "attention.dense", width, width, True)
            linear(at + "mlp.dense_h_to_4h", inner, width, True)
            linear(at + "mlp.dense_4h_to_h", width, inner, True)
        norm("gpt_neox.final_layer_norm", width, True)
        linear("embed_out", vocabulary, width)
        return shapes

    head = c.get("head_dim") or width // c["num_attention_heads"]
    q, kv = c["num_attention_heads"] * head, c["num_key_value_heads"] * head
    bias, qkv_bias = c.get("attention_bias", False), c.get("attention_bias", False) or c["model_type"] == "qwen2"
    shapes["model.embed_tokens.weight"] = (vocabulary, width)
    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        norm(at + "input_layernorm", width)
        norm(at + "post_attention_layernorm", width)
        if c["model_type"].startswith("gemma"):
            norm(at + "pre_feedforward_layernorm", width)
            norm(at + "post_feedforward_layernorm", width)
        if c["model_type"] == "phi3":
            linear(at + "self_attn.qkv_proj", q + 2 * kv, width)
            linear(at + "mlp.gate_up_proj", 2 * inner, width)
        else:
            for p, out in (("q", q), ("k", kv), ("v", kv)):
                linear(at + f"self_attn.{p}_proj", out, width, qkv_bias)
            linear(at + "mlp.gate_proj", inner, width, c.get("mlp_bias", False))
            linear(at + "mlp.up_proj", inner, width, c.get("mlp_bias", False))
        if c["model_type"] in ("qwen3", "gemma3_text"):
            norm(at + "self_attn.q_norm", head)
            norm(at + "self_attn.k_norm", head)
        linear(at + "self_attn.o_proj", width, q, bias)
        linear(at + "mlp.down_proj", width, inner, c.get("mlp_bias", False))
    norm("model.norm", width)
    if not c["tie_word_embeddings"]:
        linear("lm_head", vocabulary, width)
    return shapes


def random_weights(shapes, gemma, generator):
    """As in make.py: matrices at random, vectors near where they start (norms one, or zero in Gemma; biases zero)."""
    weights = {n: torch.full(s, float(n.endswith("weight") and not gemma)) for n, s in shapes.items()}
    randomise(weights.values(), 0.3, generator)
    return weights


def save(path, tensors):
    """A safetensors file."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, t in sorted(tensors.items()):
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [offset, offset + 4 * t.numel()]}
        offset += 4 * t.numel()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(t.float().contiguous().numpy().astype("<f4").tobytes() for _, t in sorted(tensors.items()))
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def adapter_configuration(name):
    """As PEFT writes it."""
    settings = dict(
        alora_invocation_tokens=None, alpha_pattern={}, arrow_config=None, auto_mapping=None,
        base_model_name_or_path=name, bias="none", corda_config=None, ensure_weight_tying=False, eva_config=None,
        exclude_modules=None, fan_in_fan_out=name == "gpt2", inference_mode=True, init_lora_weights=True,
        layer_replication=None, layers_pattern=None, layers_to_transform=None, loftq_config={}, lora_alpha=8,
        lora_bias=False, lora_dropout=0.0, megatron_config=None, megatron_core="megatron.core", modules_to_save=None,
        peft_type="LORA", qalora_group_size=16, r=4, rank_pattern={}, revision=None, target_modules=ADAPTERS[name],
        target_parameters=None, task_type="CAUSAL_LM", trainable_token_indices=None, use_dora=False, use_qalora=False,
        use_rslora=False)
    return json.dumps(settings, indent=2, sort_keys=True)


def make(name, folder):
    configuration, generator = configuration_of(name), generator_of(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(configuration, indent=2, sort_keys=True) + "\n")
    shapes = shapes_of(configuration)
    weights = random_weights(shapes, configuration["model_type"].startswith("gemma"), generator)
    save(folder / "model.safetensors", weights)

    lora = {}
    if name in ADAPTERS:
        for key, shape in shapes.items():
            module, _, part = key.rpartition(".")
            if part == "weight" and module.rpartition(".")[2] in ADAPTERS[name]:
                width, out = shape if name == "gpt2" else shape[::-1]
                lora[f"base_model.model.{module}.lora_A.weight"] = torch.zeros(4, width)
                lora[f"base_model.model.{module}.lora_B.weight"] = torch.zeros(out, 4)
        randomise(lora.values(), 0.2, generator)
        (folder / "adapter").mkdir()
        (folder / "adapter" / "adapter_config.json").write_text(adapter_configuration(name) + "\n")
        save(folder / "adapter" / "adapter_model.safetensors", lora)

    tokens, packed = tokens_of(generator)
    with in_float64():
        golden, largest = compute(configuration, weights, lora, tokens, packed)
    write(folder / "golden.json", golden)
    print(f"{name}: logits up to {largest:.2f}")


def compute(configuration, weights, lora, tokens, packed):
    weights, lora = ({n: t.double() for n, t in group.items()} for group in (weights, lora))
    model = Reference(configuration, weights)
    with torch.no_grad():
        logits = [logits_of(model, t) for t in tokens]
        row = packed_of(model, packed)
    golden = {
        "about": "NOT computed by transformers: by the plain PyTorch of reference.py, for the model beside this file. "
                 + MEANING,
        "transformers": None, "torch": torch.__version__.split("+")[0],
        "tokens": [t.tolist() for t in tokens], "logits": [rows(x) for x in logits],
        "gradient": gradient_of(model, tokens[0]), "packed": row,
    }
    if lora:
        adapted = Reference(configuration, {n: t.detach() for n, t in weights.items()}, lora, scaling=8 / 4)
        with torch.no_grad():
            adapter_logits = [logits_of(adapted, t) for t in tokens]
        golden |= {"peft": None, "adapterLogits": [rows(x) for x in adapter_logits],
                   "adapterGradient": gradient_of(adapted, tokens[0])}
    return golden, max(x.abs().max().item() for x in logits)


if __name__ == "__main__":
    torch.set_num_threads(1)
    root, *names = sys.argv[1:]
    for each in names or ARCHITECTURES:
        make(each, Path(root) / each)
