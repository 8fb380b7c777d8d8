"""`gmi_ieops.utils.llm_sampling_params`, for those who import from the file."""

from modelyard.utils.llm_sampling_params import (
    update_sglang_sampling_params,
    update_vllm_sampling_params,
)

__all__ = ["update_sglang_sampling_params", "update_vllm_sampling_params"]
