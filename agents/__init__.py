"""Agents: who manages the memory."""
