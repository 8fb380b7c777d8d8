curl http://localhost:80/health
