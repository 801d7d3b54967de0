"""Training steps of TRL's DPOTrainer (DPO, sigmoid loss) on a model folder and pairs of token ids.

    python3 trl_peer.py MODEL_DIR BATCH.json [--lora 16] [--precompute] [--bf16] [--jitter 0.01] [--steps 3] [--threads 2] [--lr 1e-6]

Prints one line of JSON with the fields of `npm run bench -- step`. Needs torch, transformers, trl and peft. What TRL decides by default is
left to it: rows are padded, each answer repeats its prompt, AdamW is PyTorch's. Token ids are taken modulo the model's vocabulary.
"""
import argparse
import json
import re
import resource
import tempfile
import threading
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model")
parser.add_argument("batch")
parser.add_argument("--beta", type=float, default=0.1)
parser.add_argument("--lora", type=int, default=0, help="rank of adapters on all linear layers of the blocks")
parser.add_argument("--precompute", action="store_true", help="compute the reference's log-probabilities once, ahead of the steps")
parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16, TRL's default")
parser.add_argument("--jitter", type=float, default=0.0, help="reference = weight * (1 + jitter * sin(index)), without --lora")
parser.add_argument("--steps", type=int, default=3, help="timed steps, after one that is not")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--lr", type=float, default=1e-6)
options = parser.parse_args()

import torch

torch.set_num_threads(options.threads)

import transformers
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback


class AnonymousMemory:
    """The peak of this process's memory without the pages of mapped files, where the system tells it (Linux)."""

    def __init__(self):
        self.peak = None
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        while True:
            self.look()
            time.sleep(0.01)

    def look(self):
        try:
            with open("/proc/self/status") as file:
                kibibytes = re.search(r"RssAnon:\s+(\d+)", file.read())
            self.peak = max(self.peak or 0, int(kibibytes[1]) // 1024)
        except OSError:
            pass


class Stopwatch(TrainerCallback):
    """Seconds and loss of each optimizer step."""

    def __init__(self):
        self.seconds, self.losses = [], []

    def on_step_begin(self, *_, **__):
        self.began = time.perf_counter()

    def on_step_end(self, *_, **__):
        self.seconds.append(round(time.perf_counter() - self.began, 3))

    def on_log(self, *_, logs=None, **__):
        if "loss" in (logs or {}):
            self.losses.append(logs["loss"])


class TokenIdsTrainer(trl.DPOTrainer):
    """Takes its data as token ids."""

    def _prepare_dataset(self, dataset, *_, **__):
        return dataset


def wave(tensor, function):
    return function(torch.arange(tensor.numel(), dtype=torch.float32)).view_as(tensor)


def load():
    return AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)


memory = AnonymousMemory()
model = load()
vocabulary = model.config.vocab_size
reference = None
# An adapter can be switched off, and what is computed ahead needs no second model.
if not options.lora and (options.jitter or not options.precompute):
    reference = load()
    if options.jitter:
        with torch.no_grad():
            for weight in reference.parameters():
                weight.mul_(1 + options.jitter * wave(weight, torch.sin))

with open(options.batch) as file:
    pairs = json.load(file)["pairs"]
rows = [{f"{part}_ids": [token % vocabulary for token in pair[part]] for part in ("prompt", "chosen", "rejected")} for pair in pairs]

# The collator asks a tokenizer for the id that pads; its text is never read.
pieces = models.WordLevel({"<unknown>": 0, "<end>": 1}, unk_token="<unknown>")
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(pieces), eos_token="<end>", pad_token="<end>")

adapter = None
if options.lora:
    from peft import LoraConfig

    adapter = LoraConfig(r=options.lora, lora_alpha=2 * options.lora, target_modules="all-linear", task_type="CAUSAL_LM")

stopwatch = Stopwatch()
with tempfile.TemporaryDirectory() as folder:
    trainer = TokenIdsTrainer(
        model=model,
        ref_model=reference,
        args=trl.DPOConfig(
            output_dir=folder,
            per_device_train_batch_size=len(rows),
            max_steps=options.steps + 1,
            learning_rate=options.lr,
            lr_scheduler_type="constant",
            weight_decay=0.01,
            max_grad_norm=10,
            beta=options.beta,
            bf16=options.bf16,
            precompute_ref_log_probs=options.precompute,
            gradient_checkpointing=False,
            max_length=None,
            use_cpu=True,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        # Each epoch is one step on the whole batch.
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=[stopwatch],
    )
    if options.lora:
        # What the other programs begin with: A = 0.01 sin(index), B = 0.01 cos(index).
        with torch.no_grad():
            for name, weight in trainer.model.named_parameters():
                if "lora_A" in name or "lora_B" in name:
                    weight.copy_(0.01 * wave(weight, torch.sin if "lora_A" in name else torch.cos))
    trainer.train()

memory.look()
seconds = stopwatch.seconds[1:]
print(
    json.dumps(
        {
            "objective": "dpo",
            "loss": stopwatch.losses[0],
            "seconds": seconds,
            "secondsMedian": sorted(seconds)[len(seconds) // 2],
            "peakRssMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "peakAnonymousMiB": memory.peak,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "trl": trl.__version__,
        }
    )
)
