"""The systems that are measured for encoding, each a program that answers requests in JSON.

A program loads a model and encodes texts. retrieval/workers.py starts it.
"""
