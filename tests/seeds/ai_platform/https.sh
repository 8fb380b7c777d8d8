curl -k https://192.168.1.100/health
curl -k -X POST -H "Content-Type: application/json" -d '{"messages":[{"role":"user","content":"你好"}]}' https://192.168.1.100/v1/chat/completions
