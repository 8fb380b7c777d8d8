"""Counting of usage in 0.5, which belongs to `Interceptor`; Modelyard has neither."""

from .._absent import Absent

_REASON = "it reads what `Interceptor` passes on; the gateway counts tokens in its metrics"

BillingTracker = Absent("BillingTracker", _REASON)
UsageExtractor = Absent("UsageExtractor", _REASON)
UsageRecord = Absent("UsageRecord", _REASON)
get_billing_tracker = Absent("get_billing_tracker", _REASON)
reset_billing_tracker = Absent("reset_billing_tracker", _REASON)
