"""The keys of transformers' configuration classes, with their defaults.

    python make.py OUT_FILE

Needs transformers >= 5; no network. For each model_type below OUT_FILE has, by the class's definition:
own: its keys and their defaults; aliases: other names of keys; older: names that files of older versions
have, which the class reads although it no longer has them. common: the keys of every class.
"""

import dataclasses
import inspect
import json
import re
import sys
from pathlib import Path

import transformers
from transformers.modeling_rope_utils import RopeParameters, RotaryEmbeddingConfigMixin

MODEL_TYPES = ["llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "gpt2",
               "gpt_neo", "gpt_neox", "gptj", "olmo", "olmo2", "granite", "stablelm"]


def defaults_of(kind):
    """The fields of a configuration class and their defaults."""
    defaults = {}
    for field in dataclasses.fields(kind):
        made = field.default_factory is not dataclasses.MISSING
        default = field.default_factory() if made else field.default
        defaults[field.name] = None if default is dataclasses.MISSING else default
    return {key: default for key, default in defaults.items() if key != "transformers_version"}


def older_of(kind):
    """The names that the class looks for among what it was given beyond its fields."""
    fields = {field.name for field in dataclasses.fields(kind)}
    parts = [kind, *([RotaryEmbeddingConfigMixin] if "rope_parameters" in fields else [])]
    found = {name for part in parts for name in re.findall(r'kwargs\.\w+\(\s*"(\w+)"', inspect.getsource(part))}
    return sorted(found - fields)


def main(out):
    common = defaults_of(transformers.PreTrainedConfig)
    classes = {}
    for model_type in MODEL_TYPES:
        kind = transformers.models.auto.configuration_auto.CONFIG_MAPPING[model_type]
        defaults = defaults_of(kind)
        own = {key: value for key, value in defaults.items() if key not in common or common[key] != value}
        classes[model_type] = {"class": kind.__name__, "own": own, "aliases": kind.attribute_map,
                               "older": older_of(kind)}
    found = {"transformers": transformers.__version__, "common": common, "rope": sorted(RopeParameters.__annotations__),
             "classes": classes}
    Path(out).write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
