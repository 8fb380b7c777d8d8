from gmi_ieops.handler import RouterDef, RouterKind, HTTPMethod

RouterDef(
    path="chat",                    # 路由路径 (不含前缀)
    handler=model.chat,             # 处理函数
    kind=RouterKind.SSE,            # 路由类型: API, SSE, 或 WS
    method=HTTPMethod.POST,         # HTTP 方法 (默认: POST)
    summary="Chat endpoint",        # OpenAPI 描述
    timeout=300,                    # 请求超时 (覆盖全局配置)
)
