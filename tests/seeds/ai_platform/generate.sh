curl -X POST -H "Content-Type: application/json" -d '{"prompts": ["Hello, how are you?"], "sampling_params": {"max_tokens": 50}}' http://localhost:80/generate
