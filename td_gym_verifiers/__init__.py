"""The name under which verifiers finds the environments: it loads top-level packages only."""

from td_gym.adapters.verifiers import ConversationEnv, ConversationHarness, ConversationTaskset

__all__ = ["ConversationEnv", "ConversationHarness", "ConversationTaskset"]
