"""
Tokenizers of many kinds, small, and what Hugging Face's Python library makes of texts with them.

    pip install tokenizers==0.23.2
    python make.py

Writes NAME.json.gz for each kind (its tokenizer.json), and golden.json.gz: for each kind a short hash of the ids of each
text, one of what every ten of them decode to, and some of both in full. The texts are texts.json.gz: 2,000 lines and a
few long ones, made here from a fixed seed; the trainers break ties at random, so that each run makes other tokenizers.
"""
import gzip
import hashlib
import json
import random
import unicodedata
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent
LINES = 2000

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

WORDS = (
    "the film is good and bad of a to in it was I that this but with for you not as on have be one all so are "
    "don't can't I'll we've He's they're café naïve Straße İstanbul ﬁne ½ №5 don’t " + "def return None while(x): 0x1F "
).split(" ")
SCRIPTS = [
    "Привет мир это хороший фильм", "Ελληνικά κείμενα για δοκιμή", "这是一部好电影，我很喜欢。", "これは良い映画でした。カタカナ",
    "이것은 좋은 영화입니다", "هذا فيلم جيد ١٢٣", "זה סרט טוב", "यह एक अच्छी फ़िल्म है १२३", "นี่เป็นภาพยนตร์ที่ดี", "ეს კარგი ფილმია",
    "Đây là một bộ phim hay", "ﬃ ﬀ ㎏ ① Ⅷ ｆｕｌｌ ｗｉｄｔｈ", "𝒳𝓎𝓏 𐍈 𠜎𠜱", "ᚠᛇᚻ ᛒᛦᚦ",
]
MARKS = ["e\u0301", "a\u0308\u0323", "\u1e9b\u0323", "Å", "n\u0303", "क्ष", "\u0e33", "o\u0302\u0301", "ё"]
EMOJI = ["😀", "👩‍🚀", "👍🏽", "🇩🇪", "❤️", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\n\n\n", "\u00a0", "\u2003", "\u3000", "\u200b", "\u0085", "\u2028", "\ufeff", "     "]
CONTROLS = ["\u0000", "\u0001", "\u001b", "\u007f", "\u0080", "\u00ad", "\u200d", "\u202e", "\ufffd", "\ue000", "\uffff"]
MARKED = ["<s>", "</s>", "<unk>", "<|end|>", "<|end|><|end|>", " <|strip|> ", "word", "words", "MASK", "[mask]", "▁", "##ing", "<0x41>", "</w>", "Ġ"]
SIGNS = list("!?.,;:-_()[]{}<>/\\|@#$%^&*+=~`'\"€£¥§°·…—–“”‘’«»¿¡")
CODE = ["for (let i = 0; i < n; i++) {", "  return x ** 2  # why?", "\tif a==b:", "</div>", "https://example.org/a?b=c&d=%20", "3.14159e-10", "1234567890", "a_b-c.d"]


def line(r: random.Random) -> str:
    parts = []
    for _ in range(r.choice([0, 1, 2, 3, 6, 10, 20])):
        kind = r.random()
        if kind < 0.45:
            parts.append(r.choice(WORDS) + (" " if r.random() < 0.8 else ""))
        elif kind < 0.6:
            text = r.choice(SCRIPTS)
            start = r.randrange(len(text))
            parts.append(text[start : start + r.randint(1, 12)])
        elif kind < 0.9:
            parts.append(r.choice(r.choice([MARKS, EMOJI, SPACES, SPACES, MARKED, SIGNS, SIGNS, CODE])))
        elif kind < 0.95:
            parts.append(r.choice(CONTROLS))
        else:
            point = r.choice([r.randrange(0x20, 0x3000), r.randrange(0x3000, 0xD800), r.randrange(0x10000, 0x20000)])
            # What Unicode gave out long ago: libraries differ in how new their tables are.
            parts.append(chr(point) if unicodedata.ucd_3_2_0.category(chr(point)) not in ("Cn", "Cs") else "x")
    return "".join(parts)


def texts() -> list[str]:
    r = random.Random(13)
    lines = [line(r) for _ in range(LINES)]
    words = " ".join(r.choice(WORDS) for _ in range(3000))
    return lines + [words, "a" * 3000, " " * 2000 + "x", "é漢" * 700, "\n" * 500, "1" * 1000, "." * 1000]


def byte_level(regex=None, **options):
    split = [pre_tokenizers.Split(Regex(regex), "isolated")] if regex else []
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex is None)
    return pre_tokenizers.Sequence([*split, level]) if regex else level


def bpe(corpus, pre, size=600, normalizer=None, decoder=None, special=(), alphabet=None, **options):
    t = Tokenizer(models.BPE(**options))
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    if decoder:
        t.decoder = decoder
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(special), show_progress=False,
        initial_alphabet=alphabet if alphabet is not None else pre_tokenizers.ByteLevel.alphabet(),
        **({"limit_alphabet": 150} if alphabet == [] else {}),
        **({"end_of_word_suffix": options["end_of_word_suffix"]} if "end_of_word_suffix" in options else {}),
    )
    t.train_from_iterator(corpus, trainer)
    return t


def changed(t: Tokenizer, change) -> Tokenizer:
    definition = json.loads(t.to_str())
    change(definition)
    return Tokenizer.from_str(json.dumps(definition))


def bytes_in(definition):
    """Gives a vocabulary a token for each byte."""
    model = definition["model"]
    names = [f"<0x{byte:02X}>" for byte in range(256)]
    if isinstance(model["vocab"], list):
        model["vocab"] += [[name, -12.0] for name in names]
    else:
        for name in names:
            model["vocab"].setdefault(name, len(model["vocab"]))
    model["byte_fallback"] = True


def unigram(corpus, pre, normalizer=None, decoder=None, size=700):
    # A piece for every character that it is trained on: rare ones are to be unknown.
    corpus = [line for line in corpus if all(character < "\u0600" for character in line)][:600]
    t = Tokenizer(models.Unigram())
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    if decoder:
        t.decoder = decoder
    trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False)
    t.train_from_iterator(corpus, trainer)
    return t


def words(corpus, pre, normalizer=None, size=500):
    t = Tokenizer(models.WordLevel(unk_token="<unk>"))
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.train_from_iterator(corpus, trainers.WordLevelTrainer(vocab_size=size, special_tokens=["<unk>"], show_progress=False))
    return t


def kinds(corpus):
    level = decoders.ByteLevel()
    end = [AddedToken("<|end|>", special=True)]
    prefix = [
        normalizers.Prepend("▁"), normalizers.Replace(" ", "▁"),
    ]
    sentence_piece = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    none = pre_tokenizers.Split(Regex("\\z\\A"), "removed")

    yield "gpt2", bpe(corpus, byte_level(), decoder=level, special=end)
    llama3 = bpe(corpus, byte_level(LLAMA3), decoder=level, special=end)
    llama3.post_processor = processors.TemplateProcessing(single="<|end|> $A", special_tokens=[("<|end|>", 0)])
    yield "llama3", changed(llama3, lambda d: d["model"].update(ignore_merges=True))
    yield "qwen2", bpe(corpus, byte_level(QWEN2), normalizer=normalizers.NFC(), decoder=level, special=end)
    yield "o200k", bpe(corpus, byte_level(O200K), decoder=level, special=end)

    for behavior in ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]:
        for invert in [False, True]:
            split = pre_tokenizers.Split(Regex(r"[\s\p{P}]"), behavior, invert)
            pre = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
            yield f"split-{behavior}{'-invert' if invert else ''}".replace("_", "-"), bpe(corpus[:300], pre, size=300, decoder=level)

    llama2 = bpe(
        corpus, none, normalizer=normalizers.Sequence(prefix), decoder=sentence_piece, special=["<unk>", "<s>", "</s>"],
        alphabet=[], unk_token="<unk>", fuse_unk=True,
    )
    yield "llama2", changed(llama2, lambda d: (d.update(pre_tokenizer=None), bytes_in(d)))
    legacy = bpe(
        corpus, pre_tokenizers.Metaspace(), decoder=decoders.Metaspace(), special=["<unk>", "<s>", "</s>"], alphabet=[], unk_token="<unk>"
    )
    yield "metaspace", legacy
    first = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    yield "metaspace-first", changed(legacy, lambda d: d.update(pre_tokenizer=json.loads(first.__getstate__())))
    yield "word-ends", bpe(
        corpus, pre_tokenizers.Whitespace(), normalizer=normalizers.Lowercase(), decoder=decoders.BPEDecoder(), alphabet=[],
        special=["<unk>"], unk_token="<unk>", end_of_word_suffix="</w>",
    )

    pieces = unigram(corpus, pre_tokenizers.Metaspace(), normalizer=normalizers.NFKC(), decoder=sentence_piece)
    yield "unigram", pieces
    yield "unigram-bytes", changed(pieces, bytes_in)
    t5 = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    yield "t5", changed(pieces, lambda d: (d.update(pre_tokenizer=json.loads(t5.__getstate__()), normalizer=precompiled())))

    bert = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    bert.normalizer = normalizers.BertNormalizer()
    bert.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    bert.decoder = decoders.WordPiece()
    special = ["[UNK]", "[CLS]", "[SEP]"]
    bert.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=600, special_tokens=special, show_progress=False, limit_alphabet=150))
    bert.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    yield "bert", bert
    cased = normalizers.BertNormalizer(lowercase=False, strip_accents=True, handle_chinese_chars=False, clean_text=False)
    yield "bert-cased", changed(bert, lambda d: d.update(normalizer=json.loads(cased.__getstate__())))

    yield "words", words(corpus, pre_tokenizers.Whitespace())
    yield "words-split", words(corpus, pre_tokenizers.WhitespaceSplit(), normalizers.Strip())
    several = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("merged_with_previous"), byte_level()]
    )
    yield "digits-punctuation", bpe(corpus, several, decoder=level)
    isolated = pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), pre_tokenizers.Digits(), byte_level()])
    yield "punctuation-digits", bpe(corpus, isolated, decoder=level)
    plain = [normalizers.NFKD(), normalizers.Lowercase(), normalizers.StripAccents(), normalizers.Replace(Regex(r"\s+"), " ")]
    yield "normalizers", bpe(corpus, byte_level(), normalizer=normalizers.Sequence(plain), decoder=level)

    many = bpe(corpus, byte_level(), normalizer=normalizers.Lowercase(), decoder=level)
    many.add_tokens([
        AddedToken("word", single_word=True, normalized=False), AddedToken("mask", normalized=True),
        AddedToken("[mask]", lstrip=True, normalized=False), AddedToken("good", single_word=True, normalized=True),
    ])
    many.add_special_tokens([AddedToken("<|strip|>", lstrip=True, rstrip=True), AddedToken("<|end|>"), AddedToken("<s>", rstrip=True)])
    yield "added", many


def precompiled():
    """A map of characters as SentencePiece stores it, without one of its own: ﬁ to fi, ½ to 1/2, and ideographic spaces."""
    pairs = {"ﬁ": "fi", "½": "1/2", "\u3000": " ", "\u00a0": " ", "①": "1", "ﬃ": "ffi", "Å": "Å"}
    import base64
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap(pairs)).decode()}


def charsmap(pairs):
    """Bytes of a double array over the keys' UTF-8 bytes, then the values, each ended by 0."""
    values = b""
    trie = {}
    for key, value in pairs.items():
        node = trie
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[0] = len(values)
        values += value.encode() + b"\0"
    units = [0] * 4096
    used = [False] * 4096
    used[0] = True

    def place(node, at):
        labels = sorted(node)
        base = 1
        while any(used[base ^ label] for label in labels) or (at ^ base) >= 1 << 21:
            base += 1
        for label in labels:
            used[base ^ label] = True
        units[at] |= (at ^ base) << 10
        if 0 in node:
            units[at] |= 1 << 8
        for label in labels:
            child = base ^ label
            if label == 0:
                units[child] = node[0] | 1 << 31
            else:
                units[child] = label
        for label in labels:
            if label:
                place(node[label], base ^ label)

    place(trie, 0)
    while units and units[-1] == 0:
        units.pop()
    units += [0] * (-len(units) % 256)
    blob = b"".join(unit.to_bytes(4, "little") for unit in units)
    return len(blob).to_bytes(4, "little") + blob + values


def short(value, digits) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:digits]


def write(name, value):
    with gzip.GzipFile(HERE / name, "wb", mtime=0) as file:
        file.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def main():
    for old in HERE.glob("*.json*"):
        old.unlink()
    lines = texts()
    write("texts.json.gz", lines)
    golden = {}
    for name, tokenizer in kinds(lines[:LINES]):
        definition = json.loads(tokenizer.to_str())
        write(f"{name}.json.gz", definition)
        encodings = [encoding.ids for encoding in tokenizer.encode_batch(lines, add_special_tokens=False)]
        decoded = [tokenizer.decode(ids, skip_special_tokens=False) for ids in encodings]
        full = [index for index in range(20) if encodings[index]][:8]
        golden[name] = {
            "ids": "".join(short(",".join(map(str, ids)), 3) for ids in encodings),
            "texts": "".join(short("\n".join(decoded[start : start + 10]), 6) for start in range(0, len(decoded), 10)),
            "tokens": sum(map(len, encodings)),
            "some": {index: {"ids": encodings[index], "text": decoded[index]} for index in full},
        }
        print(name, tokenizer.get_vocab_size(), golden[name]["tokens"])
    write("golden.json.gz", golden)


main()
