# TCP 模式
MODEL_SERVER_HOST=0.0.0.0 MODEL_SERVER_PORT=8080 MODEL_SERVER_SOCKET="" python server.py

# Unix socket 模式 (默认)
python server.py
