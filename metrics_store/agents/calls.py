"""The store's calls for agents: recording and collecting, and reading."""

from metrics_store.agents.readers import AgentReaders
from metrics_store.agents.recorders import AgentRecorders


class Agents(AgentRecorders, AgentReaders):
    """What agents do: recording it, and the answers."""
