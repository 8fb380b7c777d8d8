curl -X POST "http://127.0.0.1:8000/tasks/local-echo" \
  -H "Content-Type: application/json" \
  -d '{"payload": {"text": "hello"}}'
# 返回 {"task_id": "...", "status": "queued"}
