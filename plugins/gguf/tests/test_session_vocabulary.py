"""Prompts of a SentencePiece vocabulary: one BOS, no EOS, and texts that come back."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from pajamas.types import GenerateRequest, Sampling

VOCABULARY = Path(__file__).parents[4] / "shared/data/vocab/ggml-vocab-llama-spm.gguf"
BOS, EOS, HELLO = 1, 2, 15043
WIDTH = 64

pytestmark = pytest.mark.skipif(not VOCABULARY.is_file(), reason="shared/data is not here")


@pytest.fixture(scope="module")
def llama(tmp_path_factory, load_session):
    """A random model with Llama 2's vocabulary, whose file asks for BOS and EOS."""
    fields = gguf.GGUFReader(VOCABULARY).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    path = tmp_path_factory.mktemp("llama") / "llama.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(WIDTH)
    writer.add_block_count(1)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_rope_dimension_count(WIDTH // 4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(fields["tokenizer.ggml.scores"].contents())
    writer.add_token_types(fields["tokenizer.ggml.token_type"].contents())
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    writer.add_float32("general.sampling.temp", 0.6)
    writer.add_float32("general.sampling.top_p", 0.95)
    writer.add_int32("general.sampling.top_k", 20)
    writer.add_float32("general.sampling.min_p", float("nan"))
    rng = np.random.default_rng(0)
    matrices = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}
    shapes = {"token_embd": (len(tokens), WIDTH), "output_norm": (WIDTH,)}
    shapes |= {f"blk.0.{name}": (WIDTH, WIDTH) for name in sorted(matrices)}
    shapes |= {"blk.0.attn_norm": (WIDTH,), "blk.0.ffn_norm": (WIDTH,)}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", rng.standard_normal(shape).astype(np.float16 if shape[1:] else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return load_session(path)


def prompt_size(session, text):
    request = GenerateRequest(prompt=text, max_tokens=0)
    return list(session.generate(request))[-1].usage.prompt_tokens


def test_bos_is_never_doubled(llama):
    assert llama.tokenize("Hello")[:2] == [BOS, HELLO]
    assert llama.tokenize("<s>Hello")[:2] == [BOS, HELLO]
    assert llama.tokenize("Hello", add_special=False) == [HELLO]
    assert llama.tokenize("<s>", add_special=False, parse_special=False) != [BOS]


def test_no_eos_follows_a_prompt_but_one_in_its_text_stays(llama):
    assert prompt_size(llama, "Hello") == len([BOS, HELLO])
    assert prompt_size(llama, "<s>Hello") == len([BOS, HELLO])
    assert prompt_size(llama, "Hello</s>") == len([BOS, HELLO, EOS])


def test_texts_come_back(llama):
    for text in ("Hello world", " two  spaces", "世界🦙\n\tx", ""):
        assert llama.detokenize(llama.tokenize(text, add_special=False)) == text


def test_a_stream_of_byte_tokens_is_text(llama):
    chunks = list(llama.generate(GenerateRequest(prompt="a", grammar='root ::= "🦙世🦙"', max_tokens=20)))

    assert "".join(chunk.text for chunk in chunks) == "🦙世🦙"
    assert sum(not chunk.text for chunk in chunks[:-1]) >= 6  # the llama has no token: four bytes each


def test_the_files_own_sampling_is_told(llama):
    assert llama.default_sampling == Sampling(temperature=0.6, top_k=20, top_p=0.95)
    assert llama.special_tokens == {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
