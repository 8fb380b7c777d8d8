import requests

payload = {
    "prompt": "把这件衣服变成长款",
    "image_urls": [
        "https://huayiyi-ai.oss-cn-shanghai.aliyuncs.com/test_tmp/1759117633476-2c4e21c7-e358-49c8-b280-adee0df10cec.png"
    ],
    "size": "3:4",  # 可选，不填默认为 1:1
}

resp = requests.post(
    "http://127.0.0.1:8000/invoke/nanobanana-image",
    json=payload,
    timeout=120,
)
resp.raise_for_status()
data = resp.json()
print("Task ID:", data["task_id"])
print("Result:", data["result"])
