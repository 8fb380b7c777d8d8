export NANOBANANA_API_KEY=实际密钥

curl -X POST "http://127.0.0.1:8000/invoke/nanobanana-image" \
  -H "Content-Type: application/json" \
  -d '{
    "prompt": "cute corgi astronaut",
    "image_urls": ["https://example.com/reference.jpg"],
    "size": "3:4"
  }'
