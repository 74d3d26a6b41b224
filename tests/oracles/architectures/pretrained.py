"""Architectures of transformers, tiny and at random, with the layout of every layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from tests.oracles.architectures.table import Architecture

VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "image_size": (16, 24),
    "patch_size": 4,
}
WIDE = (3, 16, 24)
"""A rectangular picture."""
STAGES = {"num_encoder_blocks": 2, "depths": [1, 1], "hidden_sizes": [8, 12]}


def _of(model: str, config: str, **settings: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import transformers

        return getattr(transformers, model)(getattr(transformers, config)(**settings))

    return make


HEADS = {r".*\.heads\.\d+": "heads"}
CLASSIFIED = {r"classifier|output|.*pooler_output|(.*\.)?pooler(\..*)?": "NC"}


def _vit(patches: str = r".*patch_embeddings\.projection", tokens: str = "N+TC") -> dict[str, str]:
    return {patches: "NCHW", r".*\.patch_embeddings": "NTC", **HEADS, **CLASSIFIED, ".*": tokens}


def _tokens(model: str, config: str, **settings: Any) -> Architecture:
    """A vision transformer with a class token, whose own output are tokens."""
    made = _of(model, config, **{**VIT, "image_size": 16}, **settings)
    return Architecture(made, (3, 16, 16), {"output": "N+TC", **_vit()})


PRETRAINED: dict[str, Architecture] = {
    "vit": Architecture(_of("ViTForImageClassification", "ViTConfig", **VIT), WIDE, _vit()),
    "deit": _tokens("DeiTModel", "DeiTConfig"),
    "dinov2": _tokens("Dinov2Model", "Dinov2Config"),
    "registers": _tokens("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig"),
    "beit": Architecture(
        _of("BeitForImageClassification", "BeitConfig", **{**VIT, "image_size": 16}),
        (3, 16, 16),
        _vit(),
        absent=(),
    ),
    "clip": Architecture(
        _of("CLIPVisionModel", "CLIPVisionConfig", **{**VIT, "image_size": 16}),
        (3, 16, 16),
        {
            "output": "N+TC",
            "embeddings.patch_embedding": "NCHW",
            "post_layernorm": "NC",
            **_vit(),
        },
        absent=("embeddings.position_embedding",),
    ),
    "siglip": Architecture(
        _of("SiglipVisionModel", "SiglipVisionConfig", **{**VIT, "image_size": 16}),
        (3, 16, 16),
        {
            "embeddings.patch_embedding": "NCHW",
            "head|output.pooler_output": "NC",
            **HEADS,
            r"head\.attention\.1": "NCT",  # how much the one query attends to each token
            ".*": "NTC",
        },
        absent=("embeddings.position_embedding",),
    ),
    "videomae": Architecture(
        _of(
            "VideoMAEModel",
            "VideoMAEConfig",
            **{**VIT, "image_size": 16},
            num_frames=4,
            tubelet_size=2,
        ),
        (4, 3, 16, 16),
        {r"embeddings\.patch_embeddings\.projection": "NCDHW", **HEADS, ".*": "NTC"},
    ),
    "swin": Architecture(
        _of(
            "SwinForImageClassification",
            "SwinConfig",
            image_size=32,
            patch_size=4,
            embed_dim=8,
            depths=[2, 1],
            num_heads=[2, 2],
            window_size=4,
        ),
        (3, 32, 32),
        {
            r".*patch_embeddings\.projection": "NCHW",
            r"swin\.pooler": "NCT",
            **CLASSIFIED,
            **HEADS,
            r".*layers\.\d\.1": "NCHW",
            r".*layers\.0\.blocks\.\d\.attention.*": "NkTC",
            ".*": "NTC",
        },
        absent=("swin.encoder.layers.0.blocks.0.attention.relative_position_bias",),
    ),
    "convnext": Architecture(
        _of(
            "ConvNextForImageClassification",
            "ConvNextConfig",
            hidden_sizes=[8, 12],
            depths=[1, 1],
            num_stages=2,
            image_size=32,
        ),
        (3, 32, 32),
        {
            r".*layers\.\d\.(layernorm|pwconv1|act|pwconv2)": "NHWC",
            r"classifier|output|.*pooler_output|convnext\.layernorm": "NC",
            ".*": "NCHW",
        },
    ),
    "convnextv2": Architecture(
        _of(
            "ConvNextV2Model",
            "ConvNextV2Config",
            hidden_sizes=[8, 12],
            depths=[1, 1],
            num_stages=2,
            image_size=32,
        ),
        (3, 32, 32),
        {
            r".*layers\.\d\.(layernorm|pwconv1|act|grn|pwconv2)": "NHWC",
            r".*pooler_output|layernorm": "NC",
            ".*": "NCHW",
        },
    ),
    "hf_resnet": Architecture(
        _of(
            "ResNetForImageClassification",
            "ResNetConfig",
            embedding_size=8,
            hidden_sizes=[8, 12],
            depths=[1, 1],
        ),
        (3, 32, 32),
        {r"classifier\..*|classifier|output": "NC", ".*": "NCHW"},
    ),
    "regnet": Architecture(
        _of(
            "RegNetModel",
            "RegNetConfig",
            embedding_size=8,
            hidden_sizes=[8, 12],
            depths=[1, 1],
            groups_width=4,
        ),
        (3, 32, 32),
        {".*": "NCHW"},
    ),
    "segformer": Architecture(
        _of(
            "SegformerForImageClassification",
            "SegformerConfig",
            **STAGES,
            sr_ratios=[2, 1],
            patch_sizes=[7, 3],
            strides=[4, 2],
            num_attention_heads=[1, 2],
            mlp_ratios=[2, 2],
        ),
        (3, 32, 32),
        {
            r".*\.(proj|sequence_reduction\.sequence_reduction|dwconv\.dwconv)": "NCHW",
            r"segformer|segformer\.stages\.\d": "NCHW",
            **HEADS,
            "classifier|output": "NC",
            ".*": "NTC",
        },
    ),
    "poolformer": Architecture(
        _of(
            "PoolFormerModel",
            "PoolFormerConfig",
            **STAGES,
            patch_sizes=[7, 3],
            strides=[4, 2],
            padding=[2, 1],
        ),
        (3, 32, 32),
        {".*": "NCHW"},
    ),
    "pvt": Architecture(
        _of(
            "PvtModel",
            "PvtConfig",
            image_size=32,
            **STAGES,
            sequence_reduction_ratios=[2, 1],
            patch_sizes=[4, 2],
            strides=[4, 2],
            num_attention_heads=[1, 2],
            mlp_ratios=[2, 2],
        ),
        (3, 32, 32),
        {
            r".*\.(projection|sequence_reduction)": "NCHW",
            **HEADS,
            r"encoder\.patch_embeddings\.1\.layer_norm": "NTC",
            r".*\.attention\.self\.dropout": "NCTT",
            # The class token joins at the last stage.
            r"encoder|output|encoder\.layer_norm|.*\.1\.dropout|.*embeddings\.1": "N+TC",
            r"encoder\.block\.1\.0.*": "N+TC",
            ".*": "NTC",
        },
        absent=("encoder.block.0.0.attention.self.dropout",),  # has one head alone
    ),
    "focalnet": Architecture(
        _of(
            "FocalNetModel",
            "FocalNetConfig",
            image_size=32,
            embed_dim=8,
            depths=[1, 1],
            focal_levels=[1, 1],
            focal_windows=[3, 3],
        ),
        (3, 32, 32),
        {
            "pooler": "NCT",
            r".*pooler_output": "NC",
            r".*modulation|.*\.projection_(in|out|dropout)": "NHWC",
            r".*\.modulation\..*|.*\.projection": "NCHW",
            ".*": "NTC",
        },
    ),
    "wav2vec2": Architecture(
        _of(
            "Wav2Vec2Model",
            "Wav2Vec2Config",
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=24,
            conv_dim=(8, 8),
            conv_stride=(5, 2),
            conv_kernel=(10, 3),
            num_feat_extract_layers=2,
            num_conv_pos_embeddings=4,
            num_conv_pos_embedding_groups=2,
        ),
        (400,),
        {
            r"feature_extractor.*|encoder\.pos_conv_embed\..*": "NCT",
            **HEADS,
            ".*": "NTC",
        },
        absent=("encoder.pos_conv_embed.conv.parametrizations.weight",),
    ),
}
