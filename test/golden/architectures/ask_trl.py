"""Compares the golden steps of DPO with what TRL's own trainer computes, in float32.

    python ask_trl.py DIR [NAME ...]

Needs what make.py needs, trl and datasets. For each model in DIR, whole and with its adapter: the loss within 1e-5, the
norm of the gradient within 1e-4 of it.
"""

import json
import sys
import tempfile
from pathlib import Path

import datasets
import peft
import tokenizers
import torch
import transformers
import trl

from make import reference_of


class Trainer(trl.DPOTrainer):
    """The pairs are token ids already."""

    def _prepare_dataset(self, dataset, *args, **kwargs):
        return dataset


def step_of(model, reference, row, out):
    """The loss of the packed row as a pair, and the L2 norm of its gradient."""
    prompt, chosen = row["prompt"], row["prompt"] + row["chosen"]
    tokens = row["tokens"]
    pair = dict(prompt_ids=tokens[:prompt], chosen_ids=tokens[prompt:chosen], rejected_ids=tokens[chosen:])
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<e>": 2, "<u>": 0}, unk_token="<u>"))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<e>", pad_token="<e>")
    settings = trl.DPOConfig(output_dir=out, beta=0.1, bf16=False, use_cpu=True, gradient_checkpointing=False,
                             max_length=None, report_to=[], disable_tqdm=True)
    trainer = Trainer(model=model, ref_model=reference, args=settings, processing_class=tokenizer,
                      train_dataset=datasets.Dataset.from_list([pair]))
    trainer.model.train()
    loss = trainer.compute_loss(trainer.model, trainer.data_collator([pair]))
    loss.backward()
    grads = [p.grad.norm() for p in trainer.model.parameters() if p.requires_grad]
    return {"loss": loss.item(), "gradientNorm": torch.stack(grads).norm().item()}


def main(root, *names):
    transformers.utils.logging.disable_progress_bar()
    wrong = 0
    with tempfile.TemporaryDirectory() as out:
        for folder in sorted(p.parent for p in Path(root).glob("*/golden.json") if not names or p.parent.name in names):
            golden = json.loads((folder / "golden.json").read_text())
            for kind in ("steps", "adapterSteps"):
                if kind not in golden:
                    continue
                # Other implementations of attention leave out Gemma 2's soft caps.
                model, reference = (transformers.AutoModelForCausalLM.from_pretrained(
                    folder, dtype=torch.float32, attn_implementation="eager") for _ in range(2))
                if kind == "steps":
                    reference = reference_of(reference)
                else:
                    model = peft.PeftModel.from_pretrained(model, folder / "adapter", is_trainable=True)
                step, kept = step_of(model, reference, golden["packed"], out), golden[kind]["dpo"]
                loss = abs(step["loss"] - kept["loss"])
                norm = abs(step["gradientNorm"] / kept["gradientNorm"] - 1)
                wrong += not (loss < 1e-5 and norm < 1e-4)
                print(f"{folder.name} {kind}: loss {loss:.1e} apart, norm of the gradient {norm:.1e}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(*sys.argv[1:]))
