"""`gmi_ieops.handler`: the worker of `modelyard.handler`, under the names of both versions."""

from modelyard.handler import (
    SERVER_CODE_ERROR,
    SERVER_CODE_OK,
    SERVER_CODE_STOP,
    Handler,
    HTTPMethod,
    RouterConfig,
    RouterDef,
    RouterKind,
    Server,
    UnifiedServer,
    format_error_response,
    generate_trace_id,
)

from .billing import (
    BillingTracker,
    UsageExtractor,
    UsageRecord,
    get_billing_tracker,
    reset_billing_tracker,
)
from .engine import Engine
from .interceptor import DEFAULT_FILTER_HEADERS, DEFAULT_FILTER_RESPONSE_HEADERS, Interceptor
from .load import (
    DefaultLoadCalculator,
    LoadCalculator,
    calculate_load,
    get_load_calculator,
    set_load_calculator,
)
from .metrics import Metrics, get_metrics, reset_global_metrics
from .model_sync import ModelSyncStatus, SyncStatus, check_model_sync_status, wait_for_model_sync
from .tokenizer import TokenizerBase, TokenizerPool

__all__ = [
    "DEFAULT_FILTER_HEADERS",
    "DEFAULT_FILTER_RESPONSE_HEADERS",
    "SERVER_CODE_ERROR",
    "SERVER_CODE_OK",
    "SERVER_CODE_STOP",
    "BillingTracker",
    "DefaultLoadCalculator",
    "Engine",
    "HTTPMethod",
    "Handler",
    "Interceptor",
    "LoadCalculator",
    "Metrics",
    "ModelSyncStatus",
    "RouterConfig",
    "RouterDef",
    "RouterKind",
    "Server",
    "SyncStatus",
    "TokenizerBase",
    "TokenizerPool",
    "UnifiedServer",
    "UsageExtractor",
    "UsageRecord",
    "calculate_load",
    "check_model_sync_status",
    "format_error_response",
    "generate_trace_id",
    "get_billing_tracker",
    "get_load_calculator",
    "get_metrics",
    "reset_billing_tracker",
    "reset_global_metrics",
    "set_load_calculator",
    "wait_for_model_sync",
]
