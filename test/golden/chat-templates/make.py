"""
Chat templates in the style of well-known ones, and what transformers makes of conversations with them.

    pip install transformers==5.17 jinja2
    python make.py

Writes tokenizer.json, a small byte-level tokenizer that has the special tokens of all of them, and golden.json: for each
template and conversation the text and the ids of the prompt (with the generation prompt) and of the whole, or the words
of the template's error. The templates are our own; each does in a few lines what its model's does.
"""
import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).parent
SPECIAL = """<|begin_of_text|> <|endoftext|> <|im_start|> <|im_end|> <|start_header_id|> <|end_header_id|> <|eot_id|>
<start_of_turn> <end_of_turn> <|system|> <|user|> <|assistant|> <|end|> [INST] [/INST] [TOOL_CALLS] [AVAILABLE_TOOLS]
[/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS]""".split()
PLAIN = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
TEXTS = ["The weather is fine and the answer is good.", "user assistant system model function name arguments"] * 3


def tokenizer_file():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False))
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in PLAIN])
    begin = ("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))
    tokenizer.post_processor = processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[begin])
    path = HERE / "tokenizer.json"
    tokenizer.save(str(path), pretty=False)
    return path


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **fields):
    return {"role": "assistant", "content": content, **fields}


def system(content):
    return {"role": "system", "content": content}


WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a town, in °C",
        "parameters": {
            "type": "object",
            "properties": {"town": {"type": "string"}, "days": {"type": "integer", "default": 1}, "units": {"enum": []}},
            "required": ["town"],
        },
    },
}
CALL = {"id": "abcdefghi", "type": "function", "function": {"name": "weather", "arguments": {"town": "Zürich", "days": 2}}}
CALLED = [user("And in Zürich?"), {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": "{\"fine\": true}"}]
CALLING = ["headers", "calls", "brackets"]

CONVERSATIONS = {
    "one turn": dict(prompt=[user("How is the weather?")], answer=[assistant("Fine.")]),
    "system": dict(prompt=[system("Be short. "), user("Hi\n")], answer=[assistant(" Good.\n\nBye ")]),
    "turns": dict(prompt=[user("A"), assistant("B"), user("C é 日本")], answer=[assistant("D\n")]),
    "thoughts": dict(
        prompt=[user("A"), assistant("<think>\nold\n</think>\n\nB"), user("C")],
        answer=[assistant("<think>\nnew\n</think>\n\nD")],
    ),
    "reasoning": dict(prompt=[user("A")], answer=[assistant("D", reasoning_content="new")]),
    "no thinking": dict(prompt=[user("A")], answer=[assistant("D")], variables={"enable_thinking": False}),
    "switched off": dict(prompt=[system("Be kind. /no_think"), user("A")], answer=[assistant("D")]),
    "date": dict(prompt=[user("A")], answer=[assistant("D")], variables={"date_string": "26 Jul 2024"}),
    "tools": dict(prompt=[system("Help."), user("Rain?")], answer=[{"role": "assistant", "tool_calls": [CALL]}], tools=[WEATHER], only=CALLING),
    "called": dict(prompt=CALLED, answer=[assistant("Fine.")], tools=[WEATHER], only=CALLING),
    "two calls": dict(prompt=[user("Rain?")], answer=[{"role": "assistant", "tool_calls": [CALL, CALL]}], tools=[WEATHER], only=CALLING),
    "parts": dict(
        prompt=[user([{"type": "text", "text": "One. "}, {"type": "text", "text": "Two."}])],
        answer=[assistant([{"type": "text", "text": "Three."}])],
        only=["alternating"],
    ),
    "spelled": dict(prompt=[user("What is <|im_end|>?")], answer=[assistant("An <end_of_turn>.")]),
    "two users": dict(prompt=[user("A"), user("B")], answer=[assistant("C")]),
    "long": dict(prompt=[user("A"), assistant("B"), user("C"), assistant("D"), user("E")], answer=[assistant("F")]),
}
EOS = {"headers": "<|eot_id|>", "alternating": "<|endoftext|>", "end-of-text": "<|endoftext|>", "brackets": "<|endoftext|>"}


def cases():
    path = tokenizer_file()
    for file in sorted(HERE.glob("*.jinja")):
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(path), bos_token="<|begin_of_text|>", eos_token=EOS.get(file.stem, "<|im_end|>"))
        tokenizer.chat_template = file.read_text()
        for name, case in CONVERSATIONS.items():
            if file.stem not in case.get("only", [file.stem]):
                continue
            given = {key: case[key] for key in ("prompt", "answer", "tools", "variables") if key in case}
            yield {"template": file.stem, "name": name, "eos": tokenizer.eos_token, **given, **expected(tokenizer, case)}


def expected(tokenizer, case):
    def rendered(messages, **options):
        options |= case.get("variables", {})
        return tokenizer.apply_chat_template(messages, tools=case.get("tools"), tokenize=False, **options)

    try:
        texts = [rendered(case["prompt"], add_generation_prompt=True), rendered(case["prompt"] + case["answer"])]
    except Exception as error:
        return {"error": str(error)}
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    return {"texts": texts, "ids": ids}


lines = [json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases()]
(HERE / "golden.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
