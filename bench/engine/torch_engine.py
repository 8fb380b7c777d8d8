"""transformers on torch, bf16. It has no scheduler: sequences of one length run as one batch."""

import torch
from outcome import Clock, arguments, report
from transformers import AutoModelForCausalLM

_IDS = (300, 4000)


class Engine:
    def __init__(self, asked):
        torch.set_num_threads(asked.threads)
        torch.manual_seed(0)
        self._model = AutoModelForCausalLM.from_pretrained(
            asked.model, dtype=torch.bfloat16, attn_implementation="sdpa"
        ).eval()

    @torch.inference_mode()
    def run(self, sequences: int, input_tokens: int, output_tokens: int) -> dict:
        """All sequences come at once; each writes exactly `output_tokens`."""
        tokens = torch.randint(*_IDS, (sequences, input_tokens))
        clock = Clock(sequences)
        cache = None
        for _ in range(output_tokens):
            seen = self._model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache, tokens = seen.past_key_values, seen.logits[:, -1].argmax(-1, keepdim=True)
            for number in range(sequences):
                clock.saw(number)
        return clock.outcome(input_tokens)


def main() -> None:
    asked = arguments(__doc__).parse_args()
    engine = Engine(asked)
    if asked.case != "ready":
        engine.run(asked.sequences, asked.input, min(asked.output, 8))
    shape = (asked.sequences, asked.input, asked.output)
    report(asked, [engine.run(*shape) for _ in range(asked.repeat)])


if __name__ == "__main__":
    main()
