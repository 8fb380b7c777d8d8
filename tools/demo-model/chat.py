"""ChatML as the model learns it.

`chat_template.jinja` says the same for servers; `export.py` compares the two.
"""

from dataclasses import dataclass, field
from pathlib import Path

TEMPLATE = (Path(__file__).parent / "chat_template.jinja").read_text()
NO_THOUGHT = "<think>\n\n</think>\n\n"

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CONTROL_TOKENS = [END_OF_TEXT, START, END]
MARKUP_TOKENS = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
MARKUP_TOKENS += ["<tool_response>", "</tool_response>"]


@dataclass(frozen=True)
class Answer:
    """What the model should say to `question`; the first `unlearned` characters count as given."""

    question: str
    text: str
    unlearned: int = 0


@dataclass
class Conversation:
    """A system prompt (or none) and turns; `thought` ends the last prompt with an empty thought."""

    system: str | None = None
    turns: list[Answer] = field(default_factory=list)
    thought: bool = False

    def messages(self) -> list[dict[str, str]]:
        """The messages that a client sends to get the last answer."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        for turn in self.turns:
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": turn.text})
        return messages[:-1]

    def parts(self) -> list[tuple[str, Answer]]:
        """For every answer the text between the one before and itself."""
        text = f"{START}system\n{self.system}{END}\n" if self.system else ""
        parts = []
        for turn in self.turns:
            text += f"{START}user\n{turn.question}{END}\n{START}assistant\n"
            if self.thought and turn is self.turns[-1]:
                text += NO_THOUGHT
            parts.append((text, turn))
            text = "\n"
        return parts
