"""The two texts of an encoder-decoder, with byte-level tokens and with SentencePiece's."""

from __future__ import annotations

from tokenizers import processors

from agents.models.model import Message, Utterance
from agents.models.tokens.encoder_decoder import source, target
from agents.models.tokens.masks import GrammarMasks
from agents.models.tokens.template import ChatTemplate
from environments.grammar import Choices
from tests.support import tiny

ASK = (Message("user", "Where?"),)
GO = Choices(("go to 1", "[go]", "g"))


def test_the_encoder_reads_a_whole_text_with_each_special_token_once():
    words = tiny.tokenizer(None)
    begin, end = words.bos_token_id, words.eos_token_id
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(
        "<|start|> $A <|end|>", special_tokens=[("<|start|>", begin), ("<|end|>", end)]
    )
    read = source(ChatTemplate(words), ASK)
    assert (read[0], read[-1]) == (begin, end)
    assert words.decode(read[1:-1]) == "User:\nWhere?\n\nAssistant:\n"


def test_under_a_grammar_no_text_begins_with_the_space_that_sentence_piece_puts_there():
    words = tiny.sentence_piece()
    template = ChatTemplate(words)
    masks = GrammarMasks(words, len(words))
    for text in GO.options:
        free, bound = (target(template, Utterance(ASK, text, grammar)) for grammar in (None, GO))
        assert words.decode(free) == words.decode(bound) == text
        assert words.convert_ids_to_tokens(free[0]).startswith("▁")
        walk = masks.walk(GO)
        assert all(walk.accept(token) for token in bound)
        assert walk.complete


def test_what_was_drawn_is_what_the_decoder_is_to_say():
    words = tiny.sentence_piece()
    drawn = tuple(words.convert_tokens_to_ids(["g", "o", "▁", "t", "o", "▁", "1"]))
    assert target(ChatTemplate(words), Utterance(ASK, "go to 1", GO, tokens=drawn)) == drawn
    foreign = (len(words) + 3,)
    assert target(ChatTemplate(words), Utterance(ASK, "go to 1", GO, tokens=foreign)) != foreign
