"""The names of the package gmi-ieops, for workers that import them; Modelyard is behind each.

A worker written for gmi-ieops 0.2.9 or 0.5.8 runs as it is. What is missing, and why, says
docs/compat/ieops.md.
"""
