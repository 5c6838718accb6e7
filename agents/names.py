"""Names that are known without torch."""

TINY, PLANNED = "tiny", "tiny-planned"
SHIPPED = (TINY, PLANNED)
"""Models shipped per scenario: the second goes on from the first, and plans."""
MEMORY = "memory"
"""The method that fills a memory, as ``td-gym train`` calls it."""
CASES = "memory.jsonl"
"""What a run directory holds whose agent remembers."""
STRATEGY = "strategy.json"
"""What a run directory holds whose agent chooses strategies."""
