curl -X POST -H "Content-Type: application/json" \
    -d '{
        "messages": [
            {"role": "system", "content": "你是一个有帮助的助手。"},
            {"role": "user", "content": "你好！"}
        ],
        "temperature": 0.7,
        "max_tokens": 100
    }' \
    http://localhost:80/v1/chat/completions
