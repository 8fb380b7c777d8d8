# Unix Socket 模式 (默认，自动生成 socket 路径)
python server.py

# Unix Socket 模式 (自定义路径)
MODEL_SERVER_SOCKET=/var/run/myapp.sock python server.py

# TCP 模式 (设置 socket 为空字符串)
MODEL_SERVER_SOCKET="" MODEL_SERVER_HOST=0.0.0.0 MODEL_SERVER_PORT=8080 python server.py
