import requests
import time

payload = {
    "prompt": "把这件衣服变成长款",
    "image_urls": [
        "https://huayiyi-ai.oss-cn-shanghai.aliyuncs.com/test_tmp/1759....png"
    ],
}

submit = requests.post(
    "http://127.0.0.1:8000/tasks/nanobanana-image",
    json=payload,
    timeout=10,
)
submit.raise_for_status()
task_id = submit.json()["task_id"]
print("Task queued:", task_id)

while True:
    time.sleep(2)
    status = requests.get(f"http://127.0.0.1:8000/tasks/{task_id}", timeout=10)
    if status.status_code == 404:
        raise RuntimeError("task not found")
    info = status.json()
    print("status:", info["status"])
    if info["status"] in {"completed", "failed"}:
        print("result:", info.get("result"))
        break
