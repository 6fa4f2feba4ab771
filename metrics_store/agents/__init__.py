"""Agents: samples of them, what became of tasks, commits, system health, retrieval (RAG)."""

from metrics_store.agents.calls import Agents

__all__ = ["Agents"]
