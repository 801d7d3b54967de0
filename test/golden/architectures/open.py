"""Opens models that tokenwise trained and saved, with transformers and PEFT.

    npx tsx save.ts DIR
    python open.py DIR [NAME ...]

Needs torch, transformers >= 5 and peft; no accelerator and no network. For each model of each form: no key is missing
or unexpected, and the logits, in float32, are those that tokenwise computes in float64, within 1e-4.
"""

import json
import logging
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import peft
import torch
import transformers

FORMS = ("whole", "bfloat16", "adapter", "merged")


class Heard(logging.Handler):
    """The warnings of transformers, such as of a value of another type than a configuration wants."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = []

    def emit(self, record):
        self.messages.append(record.getMessage())


def open_whole(folder):
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    return model, {kind: sorted(map(str, keys)) for kind, keys in info.items() if keys}


def open_adapter(folder):
    """As a user does, and once more for what PEFT tells of the keys."""
    base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    model, problems = open_whole(Path(base))
    model = peft.PeftModel.from_pretrained(model, folder)
    told = model.load_adapter(folder, "again")
    missing = [key for key in told.missing_keys if "lora_" in key and ".again." in key]
    return model, problems | {k: v for k, v in dict(missing=missing, unexpected=told.unexpected_keys).items() if v}


def main(root, *names):
    heard, wrong = Heard(), 0
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("transformers").addHandler(heard)
    for name in names or sorted(p.name for p in Path(root).iterdir()):
        for form in FORMS:
            heard.messages.clear()
            folder = Path(root) / name / form
            expected = json.loads(folder.with_suffix(".json").read_text())
            model, problems = (open_adapter if form == "adapter" else open_whole)(folder)
            with torch.no_grad():
                logits = model.eval()(input_ids=torch.tensor([expected["tokens"]]), use_cache=False).logits[0]
            wanted = torch.tensor(expected["logits"], dtype=torch.float64)
            apart = ((logits - wanted).abs() / wanted.abs().clamp(min=1)).max().item()
            wrong += bool(problems) or not apart < 1e-4
            print(f"{name} {form}: {apart:.1e} apart", *([problems] if problems else []), *heard.messages, sep="; ")
    return 1 if wrong else 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(*sys.argv[1:]))
