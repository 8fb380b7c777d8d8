from gmi_ieops.storage import FileSystem

# 直接使用 FileSystem API
fs = FileSystem(server="10.0.0.1", port=32049)

# 创建目录
fs.mkdir("data/images", parents=True, exist_ok=True)

# 读写文件
with fs.open("data/result.json", "w") as f:
    f.write('{"status": "ok"}')

# 列出目录
for name in fs.listdir("data"):
    print(name)
