"""Tokenisers as `tokenizer.json` holds them: bytes, with a few merges; and words with bytes to fall back on."""

from __future__ import annotations

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from bench.models.decoder import END

_MERGES = [("c", "d"), ("cd", "e"), ("Ã", "©"), ("x", "Ã")]  # the last two are of é's bytes, and of half of them


def byte_level(*, merges: bool = False) -> str:
    """The bytes as ids 0 to 255, `<end>` as 256, and with `merges` some tokens that split characters."""
    letters = _byte_letters()
    vocabulary = {letter: byte for byte, letter in enumerate(letters)}
    if merges:
        vocabulary |= {a + b: END + 1 + i for i, (a, b) in enumerate(_MERGES)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=_MERGES if merges else []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    if not merges:
        tokenizer.add_special_tokens([AddedToken("<end>", special=True)])
    text: str = tokenizer.to_str()
    return text


def sentence_pieces() -> str:
    """As SentencePiece's exports: words that carry their blank, and one token for each byte of what is no word."""
    words = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "▁hello", "▁world", "ing", "a", "b"]
    model = models.BPE(vocab={w: i for i, w in enumerate(words)}, merges=[], unk_token="<unk>", byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    text: str = tokenizer.to_str()
    return text


def _byte_letters() -> list[str]:
    """GPT-2's letter for each byte: itself where it can be printed, else one from 256 up."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) if byte in shown else chr(256 + hidden.index(byte)) for byte in range(256)]
