"""OpenVINO GenAI with continuous batching; paged attention, prompts and answers mixed in a step."""

import math

import numpy as np
import openvino
import openvino_genai as genai
from outcome import Clock, arguments, report

_BLOCK_TOKENS = 32
_IDS = (300, 4000)


class Engine:
    def __init__(self, asked):
        scheduler = genai.SchedulerConfig()
        blocks = math.ceil((asked.input + asked.output) / _BLOCK_TOKENS) + 1
        scheduler.num_kv_blocks = asked.sequences * blocks + 8
        scheduler.max_num_batched_tokens = 2048
        scheduler.max_num_seqs = 256
        scheduler.enable_prefix_caching = False
        scheduler.dynamic_split_fuse = True
        properties = {
            "INFERENCE_PRECISION_HINT": asked.precision,
            "INFERENCE_NUM_THREADS": asked.threads,
            "KV_CACHE_PRECISION": asked.kv,
        }
        if asked.dynamic is not None:
            properties["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = asked.dynamic
        self._pipeline = genai.ContinuousBatchingPipeline(asked.model, scheduler, "CPU", properties)
        self._random = np.random.default_rng(0)
        self._requests = 0

    def run(self, sequences: int, input_tokens: int, output_tokens: int) -> dict:
        """All sequences come at once; each writes exactly `output_tokens`."""
        config = genai.GenerationConfig()
        config.max_new_tokens = config.min_new_tokens = output_tokens
        config.ignore_eos = True
        config.do_sample = False
        prompts = self._random.integers(*_IDS, (sequences, 1, input_tokens), np.int64)
        clock = Clock(sequences)
        handles = []
        for prompt in prompts:
            self._requests += 1
            request = self._pipeline.add_request(self._requests, openvino.Tensor(prompt), config)
            handles.append(request)
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
            for number, handle in enumerate(handles):
                if handle.can_read():
                    for part in handle.read().values():
                        clock.saw(number, len(part.generated_ids))
        return clock.outcome(input_tokens)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--precision", default="bf16", help="of activations")
    parser.add_argument("--kv", default="u8")
    parser.add_argument("--dynamic", type=int, help="group size of dynamic activation quantisation")
    asked = parser.parse_args()
    engine = Engine(asked)
    if asked.case != "ready":
        engine.run(asked.sequences, asked.input, min(asked.output, 8))
    shape = (asked.sequences, asked.input, asked.output)
    report(asked, [engine.run(*shape) for _ in range(asked.repeat)])


if __name__ == "__main__":
    main()
