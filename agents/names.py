"""Names that are known without torch: models that are shipped, and files by which a run directory is recognised."""

TINY, PLANNED = "tiny", "tiny-planned"
SHIPPED = (TINY, PLANNED)
"""Models shipped per scenario: the second goes on from the first, and plans."""
