"""The views of a conversation: Gymnasium, vector, PettingZoo."""
