from gmi_ieops.handler import format_error_response
from fastapi import HTTPException

# 在你的 handler 中
async def my_handler(query):
    if not query.get("messages"):
        raise HTTPException(status_code=400, detail="Messages required")

    try:
        result = await inference(query)
        return result
    except Exception as e:
        # 会被全局异常处理器捕获
        raise

# 错误响应格式:
# {
#     "message": "错误描述",
#     "type": "error_type"
# }
