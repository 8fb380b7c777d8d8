server = Server(
    routers={...},                  # 路由定义
    router_config=RouterConfig(     # 全局路由配置
        timeout=600,
        sse_headers={...},
    ),
    prefix="/v1",                   # 路由前缀
    on_startup=startup_callback,    # 启动钩子
    on_shutdown=shutdown_callback,  # 关闭钩子
    enable_cors=True,               # 启用 CORS
    app_name="my-service",          # 应用名称
)
