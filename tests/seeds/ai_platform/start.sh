sh start_ubuntu.sh
