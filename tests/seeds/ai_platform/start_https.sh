./start_ubuntu.sh
