"""Embeddings of prompts, and bases of a few directions in which embeddings are moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from blackbox_am.core.rng import Stream
from blackbox_am.errors import InvalidSpec, MissingExtra, NotFound
from blackbox_am.generators import _diffusers


def encode(weights: str, prompts: Sequence[str]) -> torch.Tensor:
    """(prompts, L, C): the embedding of each prompt by the CLIP text encoder of the pipeline
    `weights`, in the form that Stable Diffusion's network receives.

    Raises:
        NotFound: if the tokenizer or the text encoder is missing.
        InvalidSpec: for a prompt longer than the encoder reads, or weights that do not fit.
        MissingExtra: if transformers is not installed.
    """
    try:
        from transformers import CLIPTextModel, CLIPTokenizer
    except ImportError as error:
        raise MissingExtra.of("transformers", "hf") from error
    _diffusers.read_json(weights, "tokenizer/tokenizer_config.json")
    folder = _diffusers.place(weights, "text_encoder/config.json")
    try:
        tokenizer = CLIPTokenizer.from_pretrained(
            folder, subfolder="tokenizer", local_files_only=True
        )
    except (OSError, ValueError, TypeError) as error:
        raise NotFound(
            f"weights {weights!r}: expected a CLIP tokenizer in tokenizer/, as save_pretrained "
            f"writes it: {error}",
            field="weights",
        ) from error
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        # Transformers returns an empty tokenizer if the vocabulary is missing.
        raise NotFound(
            f"weights {weights!r}: expected tokenizer.json, or vocab.json and merges.txt, in "
            "tokenizer/; there are none",
            field="weights",
        )
    length = tokenizer.model_max_length
    for prompt in prompts:
        tokens = len(tokenizer(prompt).input_ids)
        if tokens > length:
            raise InvalidSpec(
                f"prompt: the text encoder reads {length} tokens, {prompt[:40]!r}... has {tokens}; "
                "shorten it",
                field="prompt",
            )
    encoder: Any = _diffusers.load_part(weights, "text_encoder", CLIPTextModel)
    if len(tokenizer) > encoder.config.vocab_size:
        raise InvalidSpec(
            f"weights {weights!r}: the tokenizer has {len(tokenizer)} tokens, the text encoder "
            f"knows {encoder.config.vocab_size}; they are not of one model",
            field="weights",
        )
    read = tokenizer(list(prompts), padding="max_length", max_length=length, return_tensors="pt")
    masked = getattr(encoder.config, "use_attention_mask", False)
    with torch.no_grad():
        embeddings: torch.Tensor = encoder(
            read.input_ids, attention_mask=read.attention_mask if masked else None
        )[0]
    return embeddings


def random_basis(embedding: torch.Tensor, directions: int, seed: int) -> torch.Tensor:
    """(directions, L, C): orthogonal directions drawn from `seed`. Their length is such that a
    standard normal combination has on average the length of `embedding` (L, C).

    Raises:
        InvalidSpec: if there are fewer dimensions than directions.
    """
    if directions > embedding.numel():
        raise InvalidSpec(
            f"directions: a prompt has {embedding.numel()} dimensions, got {directions}",
            field="directions",
        )
    drawn = Stream(seed, "prompt directions", 0).normal(embedding.numel(), directions)[0]
    orthonormal, upper = torch.linalg.qr(drawn)
    # The signs are not determined by the factorisation, and depend on its implementation.
    length = embedding.norm() / directions**0.5
    rows: torch.Tensor = length * (orthonormal * upper.diagonal().sign()).T
    return rows.reshape(directions, *embedding.shape)


def principal_basis(embeddings: torch.Tensor, directions: int) -> torch.Tensor:
    """(directions, L, C): principal components of `embeddings` (n, L, C), each as long as the
    deviation along it, so that a standard normal combination varies as the embeddings do.

    Raises:
        InvalidSpec: if the embeddings vary in fewer directions.
    """
    centred = (embeddings - embeddings.mean(0)).flatten(1)
    _, lengths, rows = torch.linalg.svd(centred, full_matrices=False)
    rank = int((lengths > lengths[0] * 1e-5).sum())
    if directions > rank:
        raise InvalidSpec(
            f"directions: the {len(embeddings)} prompts vary in {rank} directions, got "
            f"{directions}; give more and other prompts, or fewer directions",
            field="directions",
        )
    deviations = lengths[:directions, None] / (len(embeddings) - 1) ** 0.5
    rows = rows[:directions]
    signs = rows.gather(1, rows.abs().argmax(1, keepdim=True)).sign()
    basis: torch.Tensor = deviations * signs * rows
    return basis.reshape(directions, *embeddings.shape[1:])
