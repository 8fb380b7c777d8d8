from gmi_ieops.config import env

# 应用配置
env.app.name              # APP_NAME (默认: "ieops")

# 服务器配置
env.server.host           # MODEL_SERVER_HOST (默认: "127.0.0.1")
env.server.port           # MODEL_SERVER_PORT (默认: 8001)
env.server.socket         # MODEL_SERVER_SOCKET (默认: "")

# 模型配置
env.model.path            # MODEL_PATH (默认: "")
env.model.name            # MODEL_NAME (默认: "model")
env.model.timeout         # MODEL_TIMEOUT (默认: 600)
env.model.concurrency     # MODEL_THREAD_CONCURRENCY (默认: 8)

# 设备配置
env.device.cuda_visible   # CUDA_VISIBLE_DEVICES (默认: "0")
env.device.device         # DEVICE (默认: "auto")
env.device.torch_dtype    # TORCH_DTYPE (默认: "float16")

# 存储配置
env.storage.nfs_server        # IEOPS_NFS_SERVER (默认: "")
env.storage.pid               # IEOPS_STORAGE_PID (默认: "u-00000000")
env.storage.fs_name           # IEOPS_STORAGE_FS_NAME (默认: "jfs-dev")
env.storage.oid               # IEOPS_STORAGE_OID (默认: "gmicloud.ieops")
env.storage.uid               # IEOPS_STORAGE_UID (默认: "gmicloud.ieops")
env.storage.write_chunk_size  # IEOPS_NFS_WRITE_CHUNK_SIZE (默认: 524288, 即 512KB)
env.storage.read_chunk_size   # IEOPS_NFS_READ_CHUNK_SIZE (默认: 524288, 即 512KB)
env.storage.timeout           # IEOPS_NFS_TIMEOUT (默认: 30000, 即 30 秒)
