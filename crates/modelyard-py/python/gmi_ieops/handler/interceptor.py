"""`Interceptor` of 0.4 and later, which Modelyard does not have; its lists of headers it has."""

from .._absent import Absent

DEFAULT_FILTER_HEADERS = frozenset(
    {"host", "connection", "keep-alive", "transfer-encoding", "origin", "referer"}
)
"""Headers of a request that belong to one connection, or to its sender."""

DEFAULT_FILTER_RESPONSE_HEADERS = frozenset(
    {"transfer-encoding", "connection", "content-encoding", "content-length"}
)
"""Headers of an answer that belong to one connection, or to one form of its body."""

Interceptor = Absent(
    "Interceptor",
    "the gateway itself stands before services that run elsewhere; describe yours as a model with"
    " an `http` or `openai` backend",
)
