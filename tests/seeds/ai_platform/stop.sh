sh stop_ubuntu.sh
