"""Metrics of 0.4 and later, which `Engine` collects; Modelyard has neither."""

from .._absent import Absent

_REASON = "the gateway counts calls, times and tokens of each model at /metrics"

Metrics = Absent("Metrics", _REASON)
get_metrics = Absent("get_metrics", _REASON)
reset_global_metrics = Absent("reset_global_metrics", _REASON)
