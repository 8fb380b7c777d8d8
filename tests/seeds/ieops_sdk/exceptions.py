# ✅ 好: 明确的异常
from fastapi import HTTPException

if not valid_input(query):
    raise HTTPException(status_code=400, detail="Invalid input")

# ✅ 好: 日志用于调试
from gmi_ieops.utils import log

try:
    result = inference(query)
except Exception as e:
    log.get_logger(trace_id=query.get("trace_id")).error(f"Inference error: {e}")
    raise
