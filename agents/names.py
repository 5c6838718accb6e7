"""Names that are known without torch."""

TINY, PLANNED = "tiny", "tiny-planned"
SHIPPED = (TINY, PLANNED)
"""Models shipped per scenario: the second goes on from the first, and plans."""
STRATEGY = "strategy.json"
"""What a run directory holds whose agent chooses strategies."""
