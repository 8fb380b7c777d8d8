sudo ./setup_ssl.sh 192.168.0.168   # 也可用域名或 localhost
