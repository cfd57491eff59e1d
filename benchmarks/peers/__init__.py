"""The systems that are measured for search, each a program that answers requests in JSON.

A program builds and opens indexes and searches them. retrieval/workers.py starts it.
"""
