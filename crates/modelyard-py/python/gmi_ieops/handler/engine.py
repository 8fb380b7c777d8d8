"""`Engine` of 0.4 and later, which Modelyard does not have."""

from .._absent import Absent

Engine = Absent(
    "Engine",
    "the gateway itself stands before services that run elsewhere; describe yours as a model with"
    " an `http` or `openai` backend",
)
