curl -X POST "http://127.0.0.1:8000/invoke/local-echo" \
  -H "Content-Type: application/json" \
  -d '{"payload": {"text": "hello"}}'
