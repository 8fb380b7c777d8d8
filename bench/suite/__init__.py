"""The benchmarks: starts servers, sends load, writes down what was seen. Loopback only."""
