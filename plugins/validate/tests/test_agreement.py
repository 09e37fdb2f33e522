"""Tokenizers that differ are found, shown at the first difference, and fail the candidate."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
from click.testing import CliRunner

import pajamas
from pajamas_validate.agreement import first_difference
from pajamas_validate.command import command
from pajamas_validate.windows import Tokens


class Letters:
    """FAKE session that can only turn token ids into letters."""

    def detokenize(self, ids):
        return "".join(chr(token) for token in ids)


def tokens(text, prefix=()):
    return Tokens(ids=np.array([ord(letter) for letter in text], np.int32), prefix=prefix)


def difference(original, candidate):
    return first_difference(Letters(), original, Letters(), candidate)


def test_equal_tokens_do_not_differ():
    assert difference(tokens("abc"), tokens("abc")) is None


def test_the_first_difference_is_shown_with_what_comes_before():
    found = difference(tokens("one two"), tokens("one too"))

    assert found.position == 5
    assert found.before == "one t"
    assert (found.original_pieces, found.candidate_pieces) == (("w", "o"), ("o", "o"))
    assert found.sentence == (
        "They part at token 5, after 'one t': the original reads 'w' (119) 'o' (111), "
        "the quantized model 'o' (111) 'o' (111)."
    )


def test_a_text_that_ends_earlier_differs_there():
    found = difference(tokens("abcd"), tokens("ab"))

    assert found.position == 2
    assert found.candidate_ids == ()
    assert "nothing more" in found.sentence


def test_another_beginning_of_text_differs_though_the_text_does_not():
    found = difference(tokens("abc"), tokens("abc", prefix=(1,)))

    assert found.prefix_differs
    assert "[1]" in found.sentence


@pytest.fixture(scope="module")
def wrong_tokenizer(tiny_gguf, tmp_path_factory):
    """The bundled model with the names of two tokens exchanged: a wrong tokenizer of the right size."""
    path = tmp_path_factory.mktemp("wrong") / "wrong.gguf"
    path.write_bytes(exchange(tiny_gguf("q8_0")))
    return path


def exchange(path):
    """The file's bytes with two equally long words among its tokens exchanged."""
    field = gguf.GGUFReader(path).fields["tokenizer.ggml.tokens"]
    words = {bytes(field.parts[index]): index for index in field.data}
    one, other = b"\xc4\xa0is", b"\xc4\xa0in"  # " is" and " in" in the byte alphabet
    assert one in words and other in words
    data = path.read_bytes()
    first, second = (len(word).to_bytes(8, "little") + word for word in (one, other))
    assert data.count(first) == data.count(second) == 1
    return data.replace(first, b"\x00" * len(first)).replace(second, first).replace(b"\x00" * len(first), second, 1)


def test_a_wrong_tokenizer_fails_and_is_named(wrong_tokenizer, tiny_gguf):
    result = pajamas.run(
        "validate",
        quantized=wrong_tokenizer,
        original=tiny_gguf("f16"),
        metrics="perplexity,kld",
        options={"windows": 2},
    )

    assert [finding.metric for finding in result.findings] == ["tokenization", "verdict"]
    assert result.status == "fail"
    found = result.finding("tokenization").details
    assert found["original_pieces"][0] == found["candidate_pieces"][0] in (" is", " in")
    assert found["original_ids"][0] != found["candidate_ids"][0]


def test_the_command_shows_the_difference_and_exits_with_5(wrong_tokenizer, tiny_gguf):
    arguments = ["-q", str(wrong_tokenizer), "-o", str(tiny_gguf("f16")), "--metrics", "kld"]
    result = CliRunner().invoke(command, arguments, prog_name="validate")

    assert result.exit_code == 5
    assert result.stdout.startswith("Tokenization:          differs. They part at token ")
    assert "FAIL (the tokenizers differ)" in result.stdout
