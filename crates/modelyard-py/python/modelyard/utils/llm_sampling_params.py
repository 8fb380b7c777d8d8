"""From the sampling parameters of a request to those that an engine of some version takes."""

from __future__ import annotations

from typing import Any

_Params = dict[str, Any]

_VLLM_ALWAYS = frozenset(
    """n best_of presence_penalty frequency_penalty repetition_penalty temperature top_p top_k min_p
    seed stop stop_token_ids ignore_eos max_tokens min_tokens logprobs prompt_logprobs detokenize
    skip_special_tokens spaces_between_special_tokens logits_processors truncate_prompt_tokens
    include_stop_str_in_output""".split()  # noqa: SIM905
)
_VLLM_BEAMS = frozenset({"use_beam_search", "length_penalty", "early_stopping"})
_VLLM_GUIDED = frozenset(
    """output_kind output_text_buffer_length _all_stop_token_ids guided_decoding logit_bias
    allowed_token_ids""".split()  # noqa: SIM905
)
_VLLM_WORDS = frozenset({"extra_args", "bad_words", "_bad_words_token_ids"})

# Versions are written without their points: 062 is 0.6.2.
_VLLM = {
    "062": _VLLM_ALWAYS | _VLLM_BEAMS,
    "063": _VLLM_ALWAYS | _VLLM_GUIDED | {"_real_n"},
    "0110": _VLLM_ALWAYS | _VLLM_GUIDED,
    "0130": _VLLM_ALWAYS | _VLLM_GUIDED | _VLLM_WORDS,
}
_SGLANG = {
    "035": frozenset(
        """max_new_tokens stop stop_token_ids temperature top_p top_k min_p ignore_eos regex n
        skip_special_tokens spaces_between_special_tokens json_schema frequency_penalty
        presence_penalty repetition_penalty min_new_tokens""".split()  # noqa: SIM905
    )
}

_VLLM_TOKENS_MAX = 32_768
_SGLANG_TOKENS_MAX = 1_024


def update_vllm_sampling_params(config: _Params, model_config: _Params, version: str) -> _Params:
    """Makes a request's parameters those of vLLM, in place; returns them.

    `version` is one of 062, 063, 0110 and 0130. Raises `ValueError` for another one, `KeyError` if
    `model_config` has no `eos_token_id`.
    """
    known = _known(_VLLM, "vLLM", version)
    if "max_length" in config:
        config["max_tokens"] = config["max_length"]
    if "type" in config and version == "062":
        config["use_beam_search"] = config["type"] != "random"
    _translate(config, model_config)
    _keep(config, known)
    if not config.get("max_tokens"):
        config["max_tokens"] = _VLLM_TOKENS_MAX
    # Zero is how requests say "the usual"; to vLLM it would mean nothing at all.
    for name, usual in (("top_p", 0.8), ("repetition_penalty", 1.0)):
        if config.get(name) == 0:
            config[name] = usual
    return config


def update_sglang_sampling_params(config: _Params, model_config: _Params, version: str) -> _Params:
    """Makes a request's parameters those of SGLang, in place; returns them.

    `version` is 035. Raises `ValueError` for another one, `KeyError` if `model_config` has no
    `eos_token_id`.
    """
    known = _known(_SGLANG, "SGLang", version)
    lengths = ("max_tokens", "max_length")
    said = [config[name] for name in lengths if name in config]
    config["max_new_tokens"] = said[0] if said else _SGLANG_TOKENS_MAX
    _translate(config, model_config)
    _keep(config, known)
    return config


def _known(versions: dict[str, frozenset[str]], engine: str, version: str) -> frozenset[str]:
    if version not in versions:
        names = ", ".join(versions)
        raise ValueError(f"version {version} not supported: {engine} is one of {names}")
    return versions[version]


def _translate(config: _Params, model_config: _Params) -> None:
    if config.get("top_k") == 0:
        config["top_k"] = -1
    if "ngram_penalty" in config:
        config["presence_penalty"] = config["ngram_penalty"]
    if "num_results" in config:
        config["n"] = config["best_of"] = config["num_results"]
    ends = model_config["eos_token_id"]
    config["stop_token_ids"] = ends if isinstance(ends, list) else [ends]


def _keep(config: _Params, known: frozenset[str]) -> None:
    for name in [name for name in config if name not in known]:
        del config[name]
